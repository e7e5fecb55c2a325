package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"qunbot/store/storetest"
)

// What a client may begin and leave there.
var halves = map[string]string{
	"nothing":       "",
	"half a header": "POST /wecom/aibot/helper HTTP/1.1\r\nHost: x\r\nContent-",
	"half a body":   "POST /wecom/aibot/helper?msg_signature=x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"encrypt\":\"",
}

// Connections that send half a request, or nothing, keep nobody waiting.
func TestSlowClientsHoldNothing(t *testing.T) {
	service := start(t, writeSettings(t, storetest.SQLite(t)), run)
	for name, half := range halves {
		for range 80 {
			c, err := net.Dial("tcp", service.address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, half); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	p := newPlatform(service.address)
	for n := range 20 {
		began := time.Now()
		r := p.mustDeliver(t, saying{id: fmt.Sprint("m", n), who: fmt.Sprint("member", n), text: "签到", sent: began})
		if want := "签到成功！连续 1 天，积分 +5，现有 5 分"; r.text != want {
			t.Errorf("签到 beside slow clients = %q, want %q", r.text, want)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("签到 beside slow clients took %v: the platform would have hung up", took)
		}
	}
}

// pipes is a listener whose connections are pipes, which know a bubble's clock.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, errors.New("closed")
	}
}

func (p pipes) Close() error   { close(p.closed); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// A client that sends half a request, or one that reads no answer, is let go in
// time.
func TestSlowClientsAreLetGo(t *testing.T) {
	const large = 1 << 20
	tests := []struct {
		name, send string
		reads      bool // what it is answered
		after      time.Duration
	}{
		{"nothing", halves["nothing"], true, 5 * time.Second},
		{"half a header", halves["half a header"], true, 5 * time.Second},
		{"half a body", halves["half a body"], true, 10 * time.Second},
		{"reads no answer", "GET /large HTTP/1.1\r\nHost: x\r\n\r\n", false, 60 * time.Second},
		{"says no more", "GET /small HTTP/1.1\r\nHost: x\r\n\r\n", true, 2 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mux := http.NewServeMux()
				mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
				mux.HandleFunc("GET /small", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
				mux.HandleFunc("GET /large", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", large)) })
				srv := server("", mux)
				l := pipes{make(chan net.Conn), make(chan struct{})}
				ctx, stop := context.WithCancel(t.Context())
				served := make(chan error, 1)
				go func() { served <- serve(ctx, srv, l) }()

				client, connection := net.Pipe()
				gone := make(chan struct{})
				l.connections <- &watched{connection, gone}
				began := time.Now()
				if _, err := io.WriteString(client, tt.send); tt.send != "" && err != nil {
					t.Fatal(err)
				}
				if tt.reads {
					go io.Copy(io.Discard, client)
				}
				select {
				case <-gone:
				case <-time.After(10 * time.Minute):
				}
				if took := time.Since(began); took < tt.after || took > tt.after+time.Second {
					t.Errorf("it was let go after %v, want %v", took, tt.after)
				}
				client.Close()
				stop()
				if err := <-served; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A watched connection tells when it is closed.
type watched struct {
	net.Conn
	gone chan struct{}
}

func (w *watched) Close() error {
	select {
	case <-w.gone:
	default:
		close(w.gone)
	}
	return w.Conn.Close()
}
