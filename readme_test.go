package main

import (
	"os"
	"strings"
	"testing"

	"qunbot/config"
)

// The README's table of settings lists every setting as it is.
func TestReadmeListsEverySetting(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	code := func(s string) string {
		if s == "" {
			return ""
		}
		return "`" + s + "`"
	}
	for _, s := range config.Settings() {
		row := "| " + strings.Join([]string{code(s.Path), code(s.Default), code(s.Env), s.Doc}, " | ") + " |"
		if !strings.Contains(string(text), row+"\n") {
			t.Errorf("README.md lacks the row\n%s", row)
		}
	}
}
