"""Where bodies are kept, and what of that a client can see: the same tests run over a folder and over S3."""

from pathlib import Path

STORES = ("local", "s3")


def shared_stack_of(request):
    """The stack of all tests whose files are in the store that the fixture's parameter names"""
    return request.getfixturevalue({"local": "plain_stack", "s3": "s3_stack"}[request.param])


class Local:
    """Answers with problem documents of the service itself"""

    def __init__(self, stack):
        self.folder = stack.upload_dir

    def refuses(self, answer, *codes):
        assert answer.status_code in codes and answer.headers["content-type"] == "application/problem+json", answer.text

    def too_late(self, answer):
        assert answer.status_code in (404, 409), answer.text

    def check_read(self, answer):
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "private, no-store"
        assert "sandbox" in answer.headers["content-security-policy"]

    def check_head(self, answer, size):
        assert answer.headers["content-length"] == str(size)

    def tells_size(self, answer, size):
        assert answer.headers["content-range"] == f"bytes */{size}"

    def pending(self):
        return {p.name for p in (self.folder / "pending").iterdir()}

    def joining(self):
        return set()  # parts are pending here

    def forgotten(self, upload_id):
        return upload_id not in self.pending()


class S3:
    """Answers with errors in XML; the server keeps objects as files"""

    def __init__(self, stack):
        self.folder = stack.s3_dir

    def refuses(self, answer, *codes):
        assert answer.status_code in codes and "<Error>" in answer.text, (answer.status_code, answer.text)

    def too_late(self, answer):
        """What comes after it was sealed lands beside the object, for the bucket's own rule to remove"""
        assert answer.status_code == 200, answer.text

    def check_read(self, answer):
        assert answer.headers["cache-control"] == "private, no-store"

    def check_head(self, answer, size):
        assert answer.status_code == 403  # the method is signed

    def tells_size(self, answer, size):
        assert f"<ActualObjectSize>{size}<" in answer.text or "InvalidRange" in answer.text

    def pending(self):
        return self._names("pending")

    def files(self):
        return self._names("files")

    def joining(self):
        """What the server keeps of uploads in parts"""
        return {str(p) for p in self.folder.rglob("*") if ".sgwtmp" in str(p)}

    def _names(self, place):
        folder = Path(self.folder / place)
        return {p.name for p in folder.iterdir()} if folder.is_dir() else set()

    def forgotten(self, upload_id):
        return upload_id not in self.pending()


def store_of(stack):
    return S3(stack) if stack.env.get("PARLEY_UPLOAD_STORE") == "s3" else Local(stack)
