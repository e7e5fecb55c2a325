package console_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"qunbot/store"
	"qunbot/web/console"
	"qunbot/web/console/consoletest"
	"qunbot/web/frame"
)

// A page that takes a file gets it once with its form, and no larger one.
func TestUpload(t *testing.T) {
	const max = 2 << 20
	var got []string
	form := fstest.MapFS{"console.html": {Data: []byte(`{{define "main"}}<form method="post" enctype="multipart/form-data">{{formKey}}<input name="file" type="file"></form>{{end}}`)}}
	load := func(context.Context, *store.Tx, console.Visit) (any, error) { return nil, nil }
	post := func(_ context.Context, _ *store.Tx, v console.Visit) (console.Result, error) {
		got = append(got, fmt.Sprintf("%s %d %s", v.Upload.Name, len(v.Upload.Body), v.Value("note")))
		return console.Result{Message: "收到了"}, nil
	}
	s := open(t,
		console.Page{Path: "/files", Title: "文件", Role: store.Staff, FS: form, Upload: max, Load: load, Post: post},
		console.Page{Path: "/plain", Title: "表单", Role: store.Staff, FS: form, Load: load, Post: post})
	s.signIn(store.Staff)
	key := func(path string) string {
		_, page := s.get(path)
		return consoletest.FormKey(t, page)
	}
	send := func(path, key string, size int) int {
		t.Helper()
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for name, value := range map[string]string{"_key": key, "note": "备注"} {
			if err := w.WriteField(name, value); err != nil {
				t.Fatal(err)
			}
		}
		part, err := w.CreateFormFile("file", "词.txt")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, strings.Repeat("a", size)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r := s.Request(http.MethodPost, path, nil)
		r.Body, r.ContentLength = io.NopCloser(&b), int64(b.Len())
		r.Header.Set("Content-Type", w.FormDataContentType())
		answer, _ := s.Do(r)
		return answer.StatusCode
	}
	first := key("/console/files")
	for _, tt := range []struct {
		name, path, key string
		size, want      int
	}{
		{"a file", "/console/files", first, max, http.StatusSeeOther},
		{"the same again", "/console/files", first, max, http.StatusSeeOther},
		{"another file with its key", "/console/files", first, 5, http.StatusConflict},
		{"too large", "/console/files", key("/console/files"), max + 1, http.StatusRequestEntityTooLarge},
		{"much too large", "/console/files", key("/console/files"), 2 * max, http.StatusRequestEntityTooLarge},
		{"where none is taken", "/console/plain", key("/console/plain"), frame.MaxForm, http.StatusBadRequest}, // its fields are not read
		{"without a key", "/console/files", "", 5, http.StatusBadRequest},
	} {
		if status := send(tt.path, tt.key, tt.size); status != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, status, tt.want)
		}
	}
	if answer, _ := s.post("/console/files", url.Values{"_key": {key("/console/files")}, "note": {"没有文件"}}); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("a form without a file = %s", answer.Status)
	}
	if answer, _ := s.post("/console/files", url.Values{"_key": {key("/console/files")}, "note": {strings.Repeat("a", frame.MaxForm)}}); answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a huge form without a file = %s", answer.Status)
	}
	if want := []string{fmt.Sprintf("词.txt %d 备注", max), " 0 没有文件"}; !slices.Equal(got, want) {
		t.Errorf("the page got %q, want %q", got, want)
	}
}
