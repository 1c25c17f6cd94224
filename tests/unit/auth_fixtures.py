#!/usr/bin/env python3
"""Writes auth_fixtures.h: keys and tokens that another implementation (PyJWT) made, for the tests of lib/auth.

The output is checked in; run this again only to add to it: every key in it changes. Needs what tests/requirements.txt names.
"""

import base64
import json
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

SECRET = "a secret of more than thirty-two bytes"
ISSUER, AUDIENCE = "https://issuer.example", "parley"
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "name": "Ada Lovelace", "nbf": 1700000000, "exp": 2000000000}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public_jwk(algorithm, key, **more):
    return {**{k: v for k, v in json.loads(algorithm.to_jwk(key.public_key())).items() if k != "key_ops"}, **more}


def main():
    rsa_key = rsa.generate_private_key(65537, 2048)
    rsa_2 = rsa.generate_private_key(65537, 2048)
    weak = rsa.generate_private_key(65537, 1024)
    ec_key, p384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    ed_key, x_key = ed25519.Ed25519PrivateKey.generate(), x25519.X25519PrivateKey.generate()

    jwk_rsa = public_jwk(RSAAlgorithm, rsa_key, kid="rsa", use="sig", alg="RS256")
    jwk_ec = public_jwk(ECAlgorithm, ec_key, kid="ec", key_ops=["verify"])
    jwk_ed = public_jwk(OKPAlgorithm, ed_key, kid="ed")
    others = [
        public_jwk(RSAAlgorithm, rsa_2, kid="encryption", use="enc"),
        public_jwk(RSAAlgorithm, rsa_2, kid="pss", alg="PS256"),
        public_jwk(RSAAlgorithm, rsa_2, kid="wraps", key_ops=["wrapKey"]),
        public_jwk(ECAlgorithm, p384, kid="p384"),
        {"kty": "OKP", "crv": "X25519", "kid": "x25519", "x": b64(x_key.public_key().public_bytes_raw())},
        {"kty": "oct", "kid": "symmetric", "k": b64(SECRET.encode())},
        {"kty": "AKP", "kid": "of the future", "pub": "AA"},
    ]
    pem = rsa_key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = rsa_key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    modulus = rsa_key.public_key().public_numbers().n.to_bytes(256, "big")

    def token(key, alg, kid=None, **changes):
        claims = {k: v for k, v in {**CLAIMS, **changes}.items() if v is not None}
        return jwt.encode(claims, key, alg, headers={"kid": kid} if kid else None)

    class Hmac(jwt.algorithms.HMACAlgorithm):
        def prepare_key(self, key):  # PyJWT refuses to do what the attacker does
            return key

    def confused(key):
        api = jwt.PyJWS()
        api.unregister_algorithm("HS256")
        api.register_algorithm("HS256", Hmac(Hmac.SHA256))
        return api.encode(json.dumps(CLAIMS).encode(), key, "HS256", {"kid": "rsa", "typ": "JWT"})

    def one(jwk):
        return json.dumps({"keys": [jwk]})

    values = {
        "FIXTURE_SECRET": SECRET,
        "FIXTURE_ISSUER": ISSUER,
        "FIXTURE_AUDIENCE": AUDIENCE,
        "FIXTURE_JWKS": json.dumps({"keys": [*others, jwk_rsa, jwk_ec, jwk_ed]}),
        "FIXTURE_JWKS_RSA": one(jwk_rsa),
        "FIXTURE_JWKS_OTHERS": json.dumps({"keys": others}),
        "FIXTURE_JWKS_WEAK": one(public_jwk(RSAAlgorithm, weak, kid="weak")),
        "FIXTURE_JWKS_PRIVATE": one({**jwk_ed, "d": "AA"}),  # not a private key, but it says so
        "FIXTURE_JWKS_OFF_CURVE": one({**jwk_ec, "y": b64(bytes([base64.urlsafe_b64decode(jwk_ec["y"] + "=")[0] ^ 1])
                                                         + base64.urlsafe_b64decode(jwk_ec["y"] + "=")[1:])}),
        "FIXTURE_JWKS_TWO_RSA": json.dumps({"keys": [jwk_rsa, public_jwk(RSAAlgorithm, rsa_2, kid="rsa2")]}),
        "FIXTURE_HS256": token(SECRET, "HS256"),
        "FIXTURE_RS256": token(rsa_key, "RS256", "rsa"),
        "FIXTURE_ES256": token(ec_key, "ES256", "ec"),
        "FIXTURE_EDDSA": token(ed_key, "EdDSA", "ed"),
        "FIXTURE_RS256_NO_KID": token(rsa_key, "RS256"),
        "FIXTURE_RS256_UNKNOWN_KID": token(rsa_key, "RS256", "rotated"),
        "FIXTURE_RS256_OTHER_KEY": token(rsa_2, "RS256", "rsa"),
        "FIXTURE_RS512": token(rsa_key, "RS512", "rsa"),
        "FIXTURE_PS256": token(rsa_key, "PS256", "rsa"),
        "FIXTURE_ES256_KID_OF_RSA": token(ec_key, "ES256", "rsa"),
        "FIXTURE_EDDSA_KID_OF_EC": token(ed_key, "EdDSA", "ec"),
        "FIXTURE_NONE": token(None, "none"),
        "FIXTURE_CONFUSED_PEM": confused(pem),
        "FIXTURE_CONFUSED_PEM_NO_NEWLINE": confused(pem.rstrip()),
        "FIXTURE_CONFUSED_DER": confused(der),
        "FIXTURE_CONFUSED_MODULUS": confused(modulus),
        "FIXTURE_CONFUSED_EMPTY": confused(b""),
    }
    out = ["/* Made by auth_fixtures.py; times are 1700000000 (nbf) and 2000000000 (exp) */", "#pragma once", "", "/* clang-format off */", ""]
    for name, value in values.items():
        lines = [value[i:i + 90].replace('"', '\\"') for i in range(0, len(value), 90)]
        out.append(f"#define {name} \\")
        out += [f'        "{line}" \\' for line in lines[:-1]] + [f'        "{lines[-1]}"', ""]
    Path(__file__).with_suffix(".h").write_text("\n".join(out))


main()
