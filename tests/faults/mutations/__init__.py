"""The checker's other test: the server itself made wrong, one patch at a time. Each patch says which fault shows it, and which invariant must
catch it:   About: …   Fault: name   Expect: letter   and then a diff, made with `git diff` in the root of the tree."""
