package simulator

import (
	"bytes"
	"crypto/rand"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"time"

	"qunbot/bot/wecom"
)

// Limits of files.
//
// Sources: https://developer.work.weixin.qq.com/document/path/90253 and, for
// group robots, https://developer.work.weixin.qq.com/document/path/91770
const (
	minMediaBytes = 5 // more than that
	maxVoiceBytes = 2 << 20
	maxFileBytes  = 20 << 20
	maxImageBytes = 10 << 20 // of an app; also of a video
	mediaLife     = 3 * 24 * time.Hour

	maxUploadBytes = maxFileBytes + 1<<20 // with what multipart adds
	maxMediaKept   = 64 << 20             // all files together; a limit of ours, the oldest go
)

// A medium is a file that somebody has uploaded or sent.
type medium struct {
	id    string
	owner string // who may send it: a robot's key, or empty for the apps of the corp
	kind  string // image, voice, video or file
	name  string
	data  []byte
	until time.Time // may be sent
}

// media are the files that are known, the oldest first.
type media struct {
	all   []*medium
	bytes int
}

// addMedium keeps a file and returns it. The caller holds mu.
func (s *Simulator) addMedium(owner, kind, name string, data []byte) *medium {
	m := &medium{id: "3a" + rand.Text(), owner: owner, kind: kind, name: name, data: data, until: s.nowLocked().Add(mediaLife)}
	s.media.all = append(s.media.all, m)
	s.media.bytes += len(data)
	for s.media.bytes > maxMediaKept && len(s.media.all) > 1 {
		s.media.bytes -= len(s.media.all[0].data)
		s.media.all = slices.Delete(s.media.all, 0, 1)
	}
	return m
}

// mediumOf returns a file that owner may send, or nil. The caller holds mu.
func (s *Simulator) mediumOf(owner, kind, id string) *medium {
	m := find(s.media.all, func(m *medium) bool { return m.id == id })
	if m == nil || m.owner != owner || m.kind != kind || !s.nowLocked().Before(m.until) {
		return nil
	}
	return m
}

// address is where our page finds the file.
func (m *medium) address() string { return "media/" + m.id }

// serveMedium shows a file to the page: pictures as they are, the rest to
// save.
func (s *Simulator) serveMedium(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	m := find(s.media.all, func(m *medium) bool { return m.id == r.PathValue("id") })
	s.mu.Unlock()
	if m == nil {
		http.NotFound(w, r)
		return
	}
	kind := http.DetectContentType(m.data)
	if !isPicture(kind) {
		kind = "application/octet-stream"
		w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": m.name}))
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "private, max-age=86400, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(m.data))
}

func isPicture(kind string) bool { return kind == "image/png" || kind == "image/jpeg" }

func (s *Simulator) mediaEndpoints() []endpoint {
	return []endpoint{
		{method: http.MethodPost, path: "webhook/upload_media", open: true, max: maxUploadBytes, handle: s.uploadToRobot},
		{method: http.MethodPost, path: "media/upload", max: maxUploadBytes, handle: s.upload},
	}
}

// uploadToRobot makes a file known to one group robot.
//
// Source: https://developer.work.weixin.qq.com/document/path/91770
func (s *Simulator) uploadToRobot(c *call) (any, error) {
	kind := c.URL.Query().Get("type")
	if kind != wecom.TypeFile && kind != wecom.TypeVoice {
		return nil, apiError{40005, "invalid type parameter"}
	}
	name, data, err := c.upload() // an empty file is refused before the key is looked at
	if err != nil {
		return nil, err
	}
	key := c.URL.Query().Get("key")
	if _, err := s.robotChat(key); err != nil {
		return nil, err
	}
	return s.keep(key, kind, name, data)
}

// upload makes a file known to the apps of the corp.
//
// Source: https://developer.work.weixin.qq.com/document/path/90253
func (s *Simulator) upload(c *call) (any, error) {
	kind := c.URL.Query().Get("type")
	if !slices.Contains([]string{wecom.TypeImage, wecom.TypeVoice, wecom.TypeVideo, wecom.TypeFile}, kind) {
		return nil, apiError{40005, "invalid type parameter"}
	}
	name, data, err := c.upload()
	if err != nil {
		return nil, err
	}
	return s.keep("", kind, name, data)
}

// keep checks a file and keeps it.
func (s *Simulator) keep(owner, kind, name string, data []byte) (any, error) {
	limit, fits := maxFileBytes, true
	switch kind {
	case wecom.TypeVoice:
		limit, fits = maxVoiceBytes, bytes.HasPrefix(data, []byte("#!AMR"))
	case wecom.TypeImage:
		limit, fits = maxImageBytes, isPicture(http.DetectContentType(data))
	case wecom.TypeVideo:
		limit, fits = maxImageBytes, http.DetectContentType(data) == "video/mp4"
	}
	switch {
	case len(data) <= minMediaBytes:
		return nil, apiError{40006, "invalid file size"}
	case len(data) > limit:
		return nil, apiError{45001, "multimedia data size out of limit"}
	case !fits:
		return nil, apiError{40004, "invalid media file type"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.addMedium(owner, kind, name, data)
	return map[string]any{"type": kind, "media_id": m.id, "created_at": strconv.FormatInt(s.nowLocked().Unix(), 10)}, nil
}

// upload returns the file in the field "media" of a form.
func (c *call) upload() (name string, data []byte, err error) {
	kind, options, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return "", nil, apiError{44001, "empty media data"}
	}
	form := multipart.NewReader(bytes.NewReader(c.body), options["boundary"])
	for {
		part, err := form.NextPart()
		if err != nil {
			return "", nil, apiError{44001, "empty media data"}
		}
		if part.FormName() != "media" || part.FileName() == "" {
			continue
		}
		data, err := io.ReadAll(part)
		if err != nil || len(data) == 0 {
			return "", nil, apiError{44001, "empty media data"}
		}
		return part.FileName(), data, nil
	}
}
