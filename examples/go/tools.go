//go:build tools

// Keeps the generator's version in go.mod: ../generate builds it.
package main

import _ "google.golang.org/protobuf/cmd/protoc-gen-go"
