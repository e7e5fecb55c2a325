package config

import (
	"reflect"
	"strings"
)

// A Setting describes one setting for the documentation.
type Setting struct {
	Path    string // "wecom.app.aes_key"; "[]" marks the items of a list: "wecom.bots[].name"
	Type    string // string, secret, integer, boolean or list of strings
	Default string // empty: no default
	Env     string // its environment variable; empty inside lists. A secret has Env + "_FILE" too
	Doc     string // meaning, unit and range
}

// Settings returns every setting in the order of [Config].
func Settings() []Setting { return settingsOf(reflect.TypeFor[Config](), "") }

func settingsOf(t reflect.Type, prefix string) []Setting {
	var all []Setting
	for _, f := range fieldsOf(t) {
		path := prefix + f.key
		switch {
		case f.typ.Kind() == reflect.Struct:
			all = append(all, settingsOf(f.typ, path+".")...)
		case isListOfStructs(f.typ):
			all = append(all, settingsOf(f.typ.Elem(), path+"[].")...)
		default:
			s := Setting{Path: path, Type: typeName(f.typ), Default: f.def, Doc: f.doc}
			if f.typ.Kind() != reflect.Slice && !strings.Contains(path, "[]") {
				s.Env = envName(path)
			}
			all = append(all, s)
		}
	}
	return all
}

func isListOfStructs(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

func typeName(t reflect.Type) string {
	switch {
	case t == secretType:
		return "secret"
	case t.Kind() == reflect.Int64:
		return "integer"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.Slice:
		return "list of strings"
	}
	return "string"
}

var secretType = reflect.TypeFor[Secret]()

// envName returns the environment variable of a setting outside of lists.
func envName(path string) string {
	return "QUNBOT_" + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// A field is one setting, group of settings or list in a struct.
type field struct {
	index         int // in the struct
	key, def, doc string
	typ           reflect.Type
}

// fieldsOf returns the fields of a struct that the file may set.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		if key == "" || key == "-" {
			continue
		}
		fields = append(fields, field{i, key, f.Tag.Get("default"), f.Tag.Get("doc"), f.Type})
	}
	return fields
}

// keysOf returns the keys that t's mapping may have in the file.
func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
		if f.typ == secretType {
			keys = append(keys, f.key+"_file")
		}
	}
	return keys
}
