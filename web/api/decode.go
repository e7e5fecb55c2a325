package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// Decode reads the body into dst, a pointer to a struct. It is strict: what
// dst has no field for, or a value of another type, is a problem that names
// the field.
func (r Request) Decode(dst any) error {
	d := json.NewDecoder(bytes.NewReader(r.Body))
	d.DisallowUnknownFields()
	err := d.Decode(dst)
	if err == nil {
		if _, err := d.Token(); err != io.EOF {
			return BadRequest("请求体里只能有一个 JSON 对象。")
		}
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return BadRequest("字段 %s 的类型不对：要 %s，收到的是 %s。", wrong.Field, kindWord(wrong.Type.Kind().String()), wrong.Value)
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return BadRequest("不认识字段 %s。请检查拼写，或删掉它。", strings.Trim(field, `"`))
	}
	if errors.Is(err, io.EOF) {
		return BadRequest("请求体是空的，需要一个 JSON 对象。")
	}
	return BadRequest("请求体不是完整的 JSON 对象。")
}

// kindWord names a Go kind as JSON does.
func kindWord(kind string) string {
	switch {
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"):
		return "整数"
	case strings.HasPrefix(kind, "float"):
		return "数字"
	case kind == "bool":
		return "true 或 false"
	case kind == "slice":
		return "数组"
	case kind == "string":
		return "字符串"
	}
	return "对象"
}
