package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"reflect"
)

// A Secret is a string that no log, message or encoding shows: they get
// "******", or "" if it is empty. Only [Secret.Reveal] returns it.
type Secret string

// hidden stands for a secret that is set.
const hidden = "******"

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the secret.
func (s Secret) GoString() string { return fmt.Sprintf("config.Secret(%q)", s.String()) }

// Format hides the secret from every verb of fmt: with String alone, a wrong
// one such as %d would print it.
func (s Secret) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		io.WriteString(f, s.GoString())
		return
	}
	io.WriteString(f, s.String())
}

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON hides the secret.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalYAML hides the secret.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// Secrets returns the secrets that are set, in no order.
func (c Config) Secrets() []Secret { return secretsIn(reflect.ValueOf(c)) }

func secretsIn(v reflect.Value) []Secret {
	var found []Secret
	switch {
	case v.Type() == secretType:
		if s := v.Interface().(Secret); s != "" {
			found = append(found, s)
		}
	case v.Kind() == reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			found = append(found, secretsIn(v.Field(f.index))...)
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			found = append(found, secretsIn(v.Index(i))...)
		}
	}
	return found
}
