package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// readFile reads the settings file into root and reports whether it is YAML.
//
// It walks the syntax tree itself: the decoder of goccy/go-yaml stops at the
// first problem and quotes the file, secrets included.
func (l *loader) readFile(root reflect.Value) bool {
	text, message := readText(l.path)
	if message != "" {
		l.reportAt(place{source: l.path}, "", "", message)
		return false
	}
	text = strings.TrimPrefix(text, "\ufeff")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text) // the parser counts lines wrongly otherwise
	if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
		l.reportAt(place{source: l.path}, "", "", "文件不是 UTF-8 编码，请用编辑器另存为 UTF-8")
		return false
	}
	file, err := parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		l.syntaxError(err)
		return false
	}
	var documents []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			documents = append(documents, doc.Body)
		}
	}
	if len(documents) > 1 {
		l.reportAt(l.placeOf(documents[1]), "", "", "一个文件里只能有一份配置，请删掉中间的 ---")
		return false
	}
	if len(documents) == 1 {
		l.read("", documents[0], root)
	}
	if l.inline {
		l.warnIfShared("", l.path)
	}
	return true
}

func (l *loader) syntaxError(err error) {
	at, message := place{source: l.path}, ""
	if e, ok := errors.AsType[yaml.Error](err); ok {
		message = e.GetMessage()
		if token := e.GetToken(); token != nil && token.Position != nil {
			at.line, at.column = token.Position.Line, token.Position.Column
		}
	}
	l.reportAt(at, "", "", "YAML 写法不对："+syntaxHint(message))
}

// syntaxHint says what to do about a message of the parser. It repeats nothing
// of the message: that may quote the file.
func syntaxHint(message string) string {
	hints := []struct{ part, hint string }{
		{"double-quoted", "双引号没有配对"},
		{"single-quoted", "单引号没有配对"},
		{`'\t'`, "缩进请用空格，不能用 Tab 键"},
		{"\t", "缩进请用空格，不能用 Tab 键"},
		{"']'", "方括号 [ ] 没有配对"},
		{"'}'", "花括号 { } 没有配对"},
		{"reserved character", "值里有特殊字符，请用双引号括起来"},
		{"unexpected key name", "这一行不是「键: 值」，冒号要用英文半角，后面加一个空格"},
		{"non-map value", "这一行不是「键: 值」，冒号要用英文半角，后面加一个空格"},
		{"not allowed in this context", "缩进没有对齐，或者值里有冒号没用双引号括起来"},
	}
	for _, h := range hints {
		if strings.Contains(message, h.part) {
			return h.hint
		}
	}
	return "请检查这一行和上一行的缩进、冒号、引号和括号"
}

// reportNode adds a problem with n, which cannot be the value of setting.
func (l *loader) reportNode(n ast.Node, setting, message string) {
	l.reportAt(l.placeOf(n), setting, "", message)
	l.reported[setting] = true
}

func (l *loader) placeOf(n ast.Node) place {
	at := place{source: l.path}
	if token := n.GetToken(); token != nil && token.Position != nil {
		at.line, at.column = token.Position.Line, token.Position.Column
	}
	return at
}

// read stores the node n in v, the value of setting. An absent value leaves
// the default.
func (l *loader) read(setting string, n ast.Node, v reflect.Value) {
	switch n.(type) {
	case *ast.NullNode:
		return
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		l.reportNode(n, setting, "值以 &、* 或 ! 开头时要用双引号括起来")
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		l.readMapping(setting, n, v)
	case reflect.Slice:
		l.readList(setting, n, v)
	default:
		l.readScalar(setting, n, v)
	}
}

func (l *loader) readMapping(setting string, n ast.Node, v reflect.Value) {
	mapping, ok := n.(*ast.MappingNode)
	if !ok {
		l.reportNode(n, setting, "这里应写成「键: 值」，冒号用英文半角，后面加一个空格")
		return
	}
	fields := fieldsOf(v.Type())
	lines := map[string]int{}
	for _, entry := range mapping.Values {
		key, at := entry.Key.GetToken().Value, l.placeOf(entry.Key)
		path := strings.TrimPrefix(setting+"."+key, ".")
		if first, twice := lines[key]; twice {
			l.reportAt(at, path, "", fmt.Sprintf("写了两次，第一次在第 %d 行，请删掉一处", first))
			continue
		}
		lines[key] = at.line

		i := slices.IndexFunc(fields, func(f field) bool {
			return key == f.key || f.typ == secretType && key == f.key+"_file"
		})
		_, empty := entry.Value.(*ast.NullNode)
		switch {
		case i >= 0 && key == fields[i].key:
			l.places[path] = at
			l.read(path, entry.Value, v.Field(fields[i].index))
		case i >= 0:
			l.readSecretFile(strings.TrimSuffix(path, "_file"), at, entry.Value, v.Field(fields[i].index))
		case mapping.IsFlowStyle && empty: // {secret: ab,cd}: the key may be half a secret
			l.reportAt(at, setting, "", "这里少了「: 值」；值里有逗号时要用双引号括起来")
		default:
			l.reportAt(at, path, "", noSuch(key, keysOf(v.Type())))
		}
	}
	for _, f := range fields {
		path := strings.TrimPrefix(setting+"."+f.key, ".")
		_, asFile := l.secretFiles[path]
		if asFile && lines[f.key] > 0 && v.Field(f.index).Len() > 0 {
			l.report(path+"_file", "", fmt.Sprintf(bothGiven, f.key))
		}
	}
}

// readSecretFile notes the file that holds the secret of setting.
func (l *loader) readSecretFile(setting string, at place, n ast.Node, target reflect.Value) {
	l.places[setting+"_file"] = at
	var name string
	l.read(setting+"_file", n, reflect.ValueOf(&name).Elem())
	if name != "" {
		l.places[setting] = at
		l.secretFiles[setting] = secretFile{name, target}
	}
}

func (l *loader) readList(setting string, n ast.Node, v reflect.Value) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		l.reportNode(n, setting, "这里应写成列表，每项一行，以「- 」开头")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
	for i, item := range list.Values {
		path := fmt.Sprintf("%s[%d]", setting, i)
		l.places[path] = l.placeOf(item)
		if v.Index(i).Kind() == reflect.Struct {
			setDefaults(v.Index(i))
		}
		l.read(path, item, v.Index(i))
	}
}

func (l *loader) readScalar(setting string, n ast.Node, v reflect.Value) {
	var text string
	switch n := n.(type) {
	case *ast.StringNode:
		text = n.Value
	case *ast.LiteralNode:
		text = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		text = n.GetToken().Value // as written: leading zeros count
	default:
		l.reportNode(n, setting, "这里应写一个值，不能是列表或「键: 值」；值里有 [ ] { } 时要用双引号括起来")
		return
	}
	l.places[setting] = l.placeOf(n)
	if v.Type() == secretType && text != "" && (setting != "database.dsn" || strings.Contains(text, "@")) {
		l.inline = true // the DSN of SQLite is a mere path
	}
	if allowed := set(v, text); allowed != "" {
		l.report(setting, text, allowed)
	}
}
