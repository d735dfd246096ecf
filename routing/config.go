package routing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// DecodeConfig decodes a JSON config into v, a pointer. Unknown fields are
// errors, and every error begins with the path of the field it is about, such as
// upstreams.openai.timeouts.idle.
func DecodeConfig(raw []byte, v any) error {
	err := decodeStrict(raw, v)
	if err == nil {
		return nil
	}
	if at := locate(raw, reflect.TypeOf(v).Elem(), ""); at != nil {
		return at
	}
	return err
}

// decodeStrict decodes one document without unknown fields.
func decodeStrict(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// locate finds the innermost value that cannot be decoded into its type. It is
// called for configs with a mistake only, so it may take its time.
func locate(raw json.RawMessage, t reflect.Type, path string) error {
	err := decodeStrict(raw, reflect.New(t).Interface())
	if err == nil {
		return nil
	}
	if inner := locateInside(raw, t, path); inner != nil {
		return inner
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		err = fmt.Errorf("must be %s, not %s", wrong.Type, wrong.Value)
	}
	if path == "" {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// locateInside looks into the members or elements of a value; nil if the fault
// is the value's own.
func locateInside(raw json.RawMessage, t reflect.Type, path string) error {
	switch t.Kind() {
	case reflect.Pointer:
		return locateInside(raw, t.Elem(), path)
	case reflect.Slice:
		var elements []json.RawMessage
		if t.Elem().Kind() == reflect.Uint8 || json.Unmarshal(raw, &elements) != nil {
			return nil
		}
		for i, e := range elements {
			if err := locate(e, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Map, reflect.Struct:
		return locateMember(raw, t, path)
	default:
		return nil
	}
}

// locateMember looks into the members of an object.
func locateMember(raw json.RawMessage, t reflect.Type, path string) error {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return nil
	}
	fields := fieldsOf(t)
	for _, name := range sortedNames(members) {
		at := strings.TrimPrefix(path+"."+name, ".")
		field, ok := fields[name]
		switch {
		case t.Kind() == reflect.Map:
			field = t.Elem()
		case !ok:
			return fmt.Errorf("%s: unknown field; known are %s", at, strings.Join(sortedNames(fields), ", "))
		}
		if err := locate(members[name], field, at); err != nil {
			return err
		}
	}
	return nil
}

// fieldsOf lists the fields of a struct by their names in JSON; nil for other
// types.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if t.Kind() != reflect.Struct {
		return nil
	}
	fields := make(map[string]reflect.Type)
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && name != "" && name != "-" {
			fields[name] = f.Type
		}
	}
	return fields
}
