package main

// The generator reads these modules' data files; importing them keeps their
// versions in go.mod.
import (
	_ "github.com/go-ego/gse"
	_ "github.com/longbridgeapp/opencc"
)
