package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Load returns the settings from defaults, the YAML file at path and the
// variables of environ ("KEY=value", as from os.Environ), the later ones
// overriding the earlier; a secret and its _file variant are one setting. An
// empty path means no file; an empty variable counts as not set. Names of
// files are relative to the folder of path.
//
// The error joins a *[Problem] for everything that is wrong; the Config is
// usable only without one.
func Load(path string, environ []string) (Config, error) {
	var cfg Config
	l := &loader{
		path:        path,
		places:      map[string]place{},
		secretFiles: map[string]secretFile{},
		reported:    map[string]bool{},
	}
	root := reflect.ValueOf(&cfg).Elem()
	setDefaults(root)
	readable := path == "" || l.readFile(root)
	l.readEnviron(environ, root)
	l.readSecretFiles()
	if readable { // else everything would seem to be missing
		l.check(&cfg)
	}
	cfg.Warnings = l.warnings

	slices.SortStableFunc(l.problems, byPlace)
	errs := make([]error, len(l.problems))
	for i, p := range l.problems {
		errs[i] = p
	}
	return cfg, errors.Join(errs...)
}

// A loader collects what Load learns beside the values.
type loader struct {
	path        string                // of the settings file, as Load was given it
	places      map[string]place      // by setting
	secretFiles map[string]secretFile // by setting; read last, when nothing can override them any more
	inline      bool                  // the settings file itself holds a secret
	reported    map[string]bool       // settings with a problem: one each is enough
	problems    []*Problem
	warnings    []Problem
}

// A place is where a setting was made.
type place struct {
	source       string // the settings file or an environment variable
	line, column int    // from 1; 0 in environment variables
}

// A secretFile is a file that holds a secret.
type secretFile struct {
	name   string
	target reflect.Value
}

// report adds a problem with setting, unless it or what contains it has one.
func (l *loader) report(setting, value, message string) {
	for s := setting; s != ""; s = parentOf(s) {
		if l.reported[s] {
			return
		}
	}
	l.reported[setting] = true
	l.reportAt(l.placeFor(setting), setting, value, message)
}

func (l *loader) reportAt(at place, setting, value, message string) {
	l.problems = append(l.problems, &Problem{setting, at.source, at.line, at.column, value, message})
}

// warn adds a warning about setting.
func (l *loader) warn(setting, message string) {
	at := l.placeFor(setting)
	l.warnings = append(l.warnings, Problem{setting, at.source, at.line, at.column, "", message})
}

// placeFor returns the place of setting or, if it was not made, of what
// contains it.
func (l *loader) placeFor(setting string) place {
	for s := setting; s != ""; s = parentOf(s) {
		if at, ok := l.places[s]; ok {
			return at
		}
	}
	return place{source: l.path}
}

// parentOf returns the setting that contains setting, "" for a top-level one.
func parentOf(setting string) string {
	return setting[:max(0, strings.LastIndexAny(setting, ".["))]
}

func setDefaults(v reflect.Value) {
	for _, f := range fieldsOf(v.Type()) {
		switch {
		case f.typ.Kind() == reflect.Struct:
			setDefaults(v.Field(f.index))
		case f.def != "":
			set(v.Field(f.index), f.def)
		}
	}
}

// set stores text in the scalar v. It returns "" or, if v cannot hold text, a
// message that says what it can.
func set(v reflect.Value, text string) string {
	switch v.Kind() {
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return "只能是 true 或 false"
		}
		v.SetBool(b)
	case reflect.Int64:
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return "只能是整数"
		}
		v.SetInt(i)
	default:
		v.SetString(text)
	}
	return ""
}

const bothGiven = "和 %s 只能写一个，请删掉一处"

// readEnviron reads the QUNBOT_ variables.
func (l *loader) readEnviron(environ []string, root reflect.Value) {
	given := map[string]string{}
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok && strings.HasPrefix(name, "QUNBOT_") {
			given[name] = value
		}
	}
	take := func(name string) string {
		value := given[name]
		delete(given, name)
		return value
	}

	var names, lists []string
	for _, s := range Settings() {
		if s.Env == "" {
			list, _, _ := strings.Cut(s.Path, "[]")
			lists = append(lists, envName(list))
			continue
		}
		names = append(names, s.Env)
		target := valueAt(root, s.Path)
		value, file := take(s.Env), ""
		if s.Type == "secret" {
			file = take(s.Env + "_FILE")
			names = append(names, s.Env+"_FILE")
		}
		if value != "" {
			l.places[s.Path] = place{source: s.Env}
			delete(l.secretFiles, s.Path)
			if allowed := set(target, value); allowed != "" {
				l.report(s.Path, value, allowed)
			}
		}
		if file != "" {
			at := place{source: s.Env + "_FILE"}
			l.places[s.Path], l.places[s.Path+"_file"] = at, at
			l.secretFiles[s.Path] = secretFile{file, target}
		}
		if value != "" && file != "" {
			l.report(s.Path+"_file", "", fmt.Sprintf(bothGiven, s.Env))
		}
	}

	for _, name := range slices.Sorted(maps.Keys(given)) { // what nothing took
		message := noSuch(name, names)
		for _, list := range lists {
			if name == list || strings.HasPrefix(name, list+"_") {
				message = "列表不能用环境变量设置，请写在配置文件里"
			}
		}
		l.reportAt(place{source: name}, "", "", message)
	}
}

// valueAt returns the value of a setting outside of lists.
func valueAt(root reflect.Value, path string) reflect.Value {
	for key := range strings.SplitSeq(path, ".") {
		fields := fieldsOf(root.Type())
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
		root = root.Field(fields[i].index)
	}
	return root
}

// readSecretFiles sets the secrets that are given as files.
func (l *loader) readSecretFiles() {
	for _, setting := range slices.Sorted(maps.Keys(l.secretFiles)) {
		f := l.secretFiles[setting]
		path := l.resolve(f.name)
		text, message := readText(path)
		text = strings.TrimSpace(text)
		if message == "" && text == "" {
			message = "文件是空的，请把密钥写进去"
		}
		if message != "" {
			l.report(setting+"_file", path, message)
			l.reported[setting] = true
			continue
		}
		f.target.SetString(text)
		l.warnIfShared(setting+"_file", path)
	}
}

// resolve returns the path of a file that a setting names, "" for "".
func (l *loader) resolve(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(l.path), name)
}

// readText returns the text of a regular file, or a message that says why it
// cannot be had.
func readText(path string) (text, message string) {
	const maxBytes = 256 << 10 // a thousand groups; beyond it the YAML parser is slow
	info, err := os.Stat(path) // first: opening a pipe would wait
	var data []byte
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		return "", "不是普通文件"
	case info.Size() > maxBytes:
		return "", "文件太大，最多 256 KiB"
	default:
		data, err = os.ReadFile(path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", "找不到这个文件，请检查路径"
	case errors.Is(err, fs.ErrPermission):
		return "", "没有权限读这个文件，请检查它的属主和权限"
	case err != nil:
		return "", "读不了这个文件：" + err.Error()
	}
	return string(data), ""
}

// warnIfShared warns if a file that holds a secret may be read or written by
// others than its owner. It says nothing of files that do not exist.
func (l *loader) warnIfShared(setting, path string) {
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" {
		return
	}
	may := "读"
	switch shared := info.Mode().Perm() & 0o066; {
	case shared == 0:
		return
	case shared&0o022 != 0:
		may = "改"
	}
	l.warn(setting, fmt.Sprintf("本机其他用户也能%s %s，请执行 chmod 600 %s", may, path, path))
}
