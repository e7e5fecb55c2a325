package api

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
)

// head is the document without its paths, which come from the routes.
//
//go:embed openapi.yaml
var head []byte

// documentOf returns the OpenAPI document of routes, so that it holds all that
// is mounted and nothing else.
func documentOf(routes []Route) ([]byte, error) {
	var paths yaml.MapSlice
	for _, r := range routes {
		operation, err := operationOf(r)
		if err != nil {
			return nil, fmt.Errorf("API route %s %s: its Spec: %w", r.Method, r.Path, err)
		}
		method := yaml.MapItem{Key: strings.ToLower(r.Method), Value: operation}
		if i := indexOf(paths, r.Path); i >= 0 {
			paths[i].Value = append(paths[i].Value.(yaml.MapSlice), method)
		} else {
			paths = append(paths, yaml.MapItem{Key: r.Path, Value: yaml.MapSlice{method}})
		}
	}
	text, err := yaml.MarshalWithOptions(yaml.MapSlice{{Key: "paths", Value: paths}}, yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	return bytes.Join([][]byte{bytes.TrimSpace(head), text}, []byte("\n\n")), nil
}

// operationOf adds to a route's Spec what all routes have.
func operationOf(r Route) (yaml.MapSlice, error) {
	var spec struct {
		Parameters  []yaml.MapSlice `yaml:"parameters"`
		RequestBody yaml.MapSlice   `yaml:"requestBody"`
		Responses   yaml.MapSlice   `yaml:"responses"`
	}
	if err := yaml.UnmarshalWithOptions([]byte(r.Spec), &spec, yaml.Strict(), yaml.UseOrderedMap()); err != nil {
		return nil, err
	}
	if len(spec.Responses) == 0 {
		return nil, fmt.Errorf("it has no responses")
	}
	for part := range strings.SplitSeq(r.Path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok && !describes(spec.Parameters, strings.TrimSuffix(name, "}")) {
			return nil, fmt.Errorf("it does not describe the parameter %s", part)
		}
	}
	refer := func(to string) yaml.MapSlice { return yaml.MapSlice{{Key: "$ref", Value: "#/components/" + to}} }
	if r.Write {
		spec.Parameters = append(spec.Parameters, refer("parameters/IdempotencyKey"))
	}
	for _, common := range []struct{ status, name string }{
		{"400", "BadRequest"}, {"401", "Unauthorized"}, {"429", "TooManyRequests"}, {"default", "Problem"},
	} {
		if indexOf(spec.Responses, common.status) < 0 {
			spec.Responses = append(spec.Responses, yaml.MapItem{Key: common.status, Value: refer("responses/" + common.name)})
		}
	}
	operation := yaml.MapSlice{{Key: "summary", Value: r.Summary}}
	if len(spec.Parameters) > 0 {
		operation = append(operation, yaml.MapItem{Key: "parameters", Value: spec.Parameters})
	}
	if len(spec.RequestBody) > 0 {
		operation = append(operation, yaml.MapItem{Key: "requestBody", Value: spec.RequestBody})
	}
	return append(operation, yaml.MapItem{Key: "responses", Value: spec.Responses}), nil
}

func indexOf(m yaml.MapSlice, key string) int {
	for i, item := range m {
		if fmt.Sprint(item.Key) == key {
			return i
		}
	}
	return -1
}

func describes(parameters []yaml.MapSlice, name string) bool {
	for _, p := range parameters {
		if i := indexOf(p, "name"); i >= 0 && p[i].Value == name {
			return true
		}
	}
	return false
}
