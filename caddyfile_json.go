package aigateway

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// definedFields are the fields of one definition that its block has set, and where:
// each by words or by the option json, and not by both. The zero value is ready.
type definedFields struct {
	words, json map[string]caddyfile.Token
}

// byWord notes that the option at the cursor sets a field.
func (f *definedFields) byWord(d *caddyfile.Dispenser, field string) error {
	if first, ok := f.json[field]; ok {
		return d.Errf("%s is set twice: first at %s:%d", field, first.File, first.Line)
	}
	if f.words == nil {
		f.words = make(map[string]caddyfile.Token)
	}
	if _, ok := f.words[field]; !ok {
		f.words[field] = d.Token()
	}
	return nil
}

// byJSON parses the option that says what there is no word for, and returns the
// field that it has set of a definition, which is given by its pointer:
//
//	json <field> <value>
//
// The field is one of the definition's JSON, and the value is what stands there.
func (f *definedFields) byJSON(d *caddyfile.Dispenser, definition any) (field string, err error) {
	at, args := d.Token(), d.RemainingArgs()
	if len(args) != 2 {
		return "", d.Errf("json takes a field and a value, such as: json tags `[\"eu\"]`")
	}
	field = args[0]
	if err := f.mayBeJSON(d, field, definition); err != nil {
		return "", err
	}
	if f.json == nil {
		f.json = make(map[string]caddyfile.Token)
	}
	f.json[field] = at
	value := json.RawMessage(args[1])
	if err := json.Unmarshal(value, new(any)); err != nil {
		return "", d.Errf("%s: the value is no JSON: %v", field, err)
	}
	object, err := json.Marshal(map[string]json.RawMessage{field: value})
	if err != nil {
		return "", d.Errf("%s: %v", field, err)
	}
	if err := routing.DecodeConfig(object, definition); err != nil {
		return "", d.Errf("%s", nearField(err))
	}
	if guest, ok := guestFields[field]; ok {
		return field, guest.check(d, field, value)
	}
	return field, nil
}

// mayBeJSON refuses fields that json cannot set, or not any more.
func (f *definedFields) mayBeJSON(d *caddyfile.Dispenser, field string, definition any) error {
	if known := jsonFields(definition); !slices.Contains(known, field) {
		return unknown(d, "field", field, known...)
	}
	if field == "credentials" {
		return d.Errf("json does not take credentials; use the option credential")
	}
	if first, ok := f.json[field]; ok {
		return d.Errf("%s is set twice: first at %s:%d", field, first.File, first.Line)
	}
	if first, ok := f.words[field]; ok {
		return d.Errf("%s is set twice: first at %s:%d", field, first.File, first.Line)
	}
	return nil
}

// jsonFields lists the names that the fields of a struct, given by its pointer, have
// in JSON.
func jsonFields(definition any) []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(definition).Elem()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// nearField puts the nearest name in the place of all that are known, in an error
// about a field that is not.
func nearField(err error) string {
	path, list, ok := strings.Cut(err.Error(), ": unknown field; known are ")
	if !ok {
		return err.Error()
	}
	word := path[strings.LastIndex(path, ".")+1:]
	return path + ": unknown field" + suggestion(word, strings.Split(list, ", "))
}

// guestField is a field that holds the config of a module.
type guestField struct {
	namespace string // ends in a dot
	key       string // of the module's name
	// usual is the module's name for one that may be written; nil if that is it.
	usual func(name string) (string, bool)
}

// guestFields are those that json can set.
var guestFields = map[string]guestField{
	"transport": {namespace: transportNamespace, key: "protocol"},
	"policy":    {namespace: routing.PolicyNamespace + ".", key: "policy", usual: routing.PolicyName},
}

// check refuses a module that is not there, and fields that it does not have. What
// the module says of their values is found when the config is loaded.
func (g guestField) check(d *caddyfile.Dispenser, field string, value json.RawMessage) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(value, &members); err != nil || members == nil {
		return d.Errf("%s: must be an object", field)
	}
	var written string
	if raw, ok := members[g.key]; !ok || json.Unmarshal(raw, &written) != nil {
		return d.Errf("%s.%s: must be the name of a module; known are %s", field, g.key, strings.Join(guestNames(g.namespace), ", "))
	}
	name, ok := written, true
	if g.usual != nil {
		name, ok = g.usual(written)
	}
	info, err := caddy.GetModule(g.namespace + name)
	if !ok || err != nil {
		return unknown(d, field, written, guestNames(g.namespace)...)
	}
	own := maps.Clone(members)
	delete(own, g.key)
	bare, err := json.Marshal(own)
	if err != nil {
		return d.Errf("%s: %v", field, err)
	}
	module := info.New()
	if reflect.TypeOf(module).Kind() != reflect.Pointer {
		return nil // it has no fields of its own that could be wrong
	}
	if err := routing.DecodeConfig(bare, module); err != nil {
		return d.Errf("%s.%s", field, nearField(err))
	}
	return nil
}
