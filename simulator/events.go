package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	// viewerBuffer is how many events a viewer may be behind. One who falls
	// further behind is cut off and reads the state again.
	viewerBuffer = 256

	// heartbeat keeps an idle stream open.
	heartbeat = 20 * time.Second
)

// publish sends an event to all viewers. The caller holds mu.
func (s *Simulator) publish(name string, data any) {
	if len(s.viewers) == 0 {
		return
	}
	body, err := json.Marshal(data)
	if err != nil {
		s.cfg.Log.Error("encode event", "name", name, "err", err)
		return
	}
	event := fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, body)
	for viewer := range s.viewers {
		select {
		case viewer <- event:
		default:
			s.leave(viewer)
		}
	}
}

// leave ends a viewer's stream. The caller holds mu.
func (s *Simulator) leave(viewer chan []byte) {
	if s.viewers[viewer] {
		delete(s.viewers, viewer)
		close(viewer)
	}
}

// serveEvents streams what happens to a browser.
func (s *Simulator) serveEvents(w http.ResponseWriter, r *http.Request) {
	viewer := make(chan []byte, viewerBuffer)
	s.mu.Lock()
	s.viewers[viewer] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leave(viewer)
	}()

	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{}) // a stream outlives the server's limit; not every writer has one
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	if _, err := w.Write([]byte("retry: 1000\nevent: hello\ndata: {}\n\n")); err != nil || control.Flush() != nil {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		event := []byte(": \n\n")
		select {
		case <-r.Context().Done():
			return
		case <-s.ended:
			return
		case <-beat.C:
		case next, ok := <-viewer:
			if !ok {
				return
			}
			event = next
		}
		if _, err := w.Write(event); err != nil || control.Flush() != nil {
			return
		}
	}
}
