package main

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"qunbot/config"
)

// newLog returns the log of a service: one line of JSON an event. What happened
// is "event", because "msg" is the id of the message that it happened to. The
// secrets of the settings are blotted out wherever they turn up; that is for
// what others may write into errors, for our own code never logs them.
func newLog(w io.Writer, cfg config.Config) *slog.Logger {
	var pairs []string
	for _, s := range cfg.Secrets() {
		if cfg.Database.Driver == "sqlite" && s == cfg.Database.DSN {
			continue // a file's name
		}
		if text := s.Reveal(); len(text) >= 6 { // shorter ones would blot out half of the text
			pairs = append(pairs, text, "***")
		}
	}
	blot := strings.NewReplacer(pairs...)
	return slog.New(eventHandler{slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.MessageKey && a.Value.String() == "" {
			return slog.Attr{} // eventHandler has it
		}
		switch v := a.Value.Any().(type) {
		case string:
			a.Value = slog.StringValue(blot.Replace(v))
		case error:
			a.Value = slog.StringValue(blot.Replace(v.Error()))
		}
		return a
	}})})
}

// An eventHandler moves the message of a record to the key "event".
type eventHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h eventHandler) Handle(ctx context.Context, r slog.Record) error {
	moved := slog.NewRecord(r.Time, r.Level, "", r.PC)
	moved.AddAttrs(slog.String("event", r.Message))
	r.Attrs(func(a slog.Attr) bool {
		moved.AddAttrs(a)
		return true
	})
	return h.Handler.Handle(ctx, moved)
}

// WithAttrs implements slog.Handler.
func (h eventHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return eventHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h eventHandler) WithGroup(name string) slog.Handler {
	return eventHandler{h.Handler.WithGroup(name)}
}
