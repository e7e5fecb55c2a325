package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func TestSecretIsHidden(t *testing.T) {
	app := App{Secret: "hunter2"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", app.Secret, "app", app)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", app.Secret, "app", app)
	asJSON, err := json.Marshal(app)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(app)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{"slog": log.String(), "json": string(asJSON), "yaml": string(asYAML)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T %[1]v"} {
		shown[verb] = fmt.Sprintf(verb, app) + fmt.Sprintf(verb, app.Secret) + fmt.Sprintf(verb, &app)
	}
	for how, text := range shown {
		if strings.Contains(text, "hunter2") || strings.Contains(text, fmt.Sprintf("%x", "hunter2")) || !strings.Contains(text, hidden) {
			t.Errorf("%s of a secret = %s, want %s only", how, text, hidden)
		}
	}
	if got := app.Secret.Reveal(); got != "hunter2" {
		t.Errorf("Reveal() = %q, want hunter2", got)
	}
}

func TestEmptySecret(t *testing.T) {
	if got := fmt.Sprintf("%v %#v", Secret(""), Secret("")); got != ` config.Secret("")` {
		t.Errorf("empty secret = %q, want nothing", got)
	}
}

// Secrets finds every secret that is set, wherever it stands.
func TestSecretsFindsAll(t *testing.T) {
	var c Config
	c.Database.DSN, c.WeCom.App.Token, c.Alerts.WebhookKey = "dsn", "token", "hook"
	c.WeCom.Bots = []Bot{{Secret: "bot"}, {}}
	c.API.Keys = []APIKey{{Name: "no secret", Key: "key"}}
	var got []string
	for _, s := range c.Secrets() {
		got = append(got, s.Reveal())
	}
	slices.Sort(got)
	if want := []string{"bot", "dsn", "hook", "key", "token"}; !slices.Equal(got, want) {
		t.Errorf("Secrets = %q, want %q", got, want)
	}
}
