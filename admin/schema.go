package admin

import (
	"encoding/json"
	"path"
	"reflect"
	"strings"
)

// schemas are JSON schemas of Go types.
type schemas struct {
	named map[string]object
	types map[string]reflect.Type // of the named ones
}

func newSchemas() *schemas {
	return &schemas{named: make(map[string]object), types: make(map[string]reflect.Type)}
}

// hasSpec says whether a body holds a definition.
func (s *schemas) hasSpec(body any) bool {
	_, ok := reflect.TypeOf(body).FieldByName("Spec")
	return ok
}

// of is the schema of a type. Structs with a name stand among the components.
func (s *schemas) of(t reflect.Type) object {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if schema, ok := special(t); ok {
		return schema
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.ofStruct(t)
	default:
		return object{}
	}
}

// special is the schema of types that do not show in JSON what they are in Go.
func special(t reflect.Type) (object, bool) {
	switch {
	case t == reflect.TypeFor[json.RawMessage](), t.Kind() == reflect.Interface:
		return object{}, true
	case t.PkgPath() == "time" && t.Name() == "Time":
		return object{"type": "string", "format": "date-time"}, true
	case t.Name() == "Duration":
		return object{"description": "A duration such as 30s, or nanoseconds.", "type": []string{"string", "integer"}}, true
	case t == reflect.TypeFor[importItem]():
		return object{"description": "An upstream model, or an object with upstream_model, model and source.", "type": []string{"string", "object"}}, true
	case reflect.PointerTo(t).Implements(reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()):
		return object{"type": "string"}, true
	default:
		return nil, false
	}
}

// ofStruct is the schema of a struct, or where it stands.
func (s *schemas) ofStruct(t reflect.Type) object {
	name := nameOfType(t)
	if name == "" {
		return s.describe(t)
	}
	if other, ok := s.types[name]; ok && other != t { // two packages have that name
		name = capital(path.Base(t.PkgPath())) + name
	}
	if s.named[name] == nil {
		s.named[name], s.types[name] = object{}, t // ends a circle
		s.named[name] = s.describe(t)
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// nameOfType is the name of a struct among the components; "" if it has none.
func nameOfType(t reflect.Type) string {
	name := t.Name()
	if open := strings.IndexByte(name, '['); open >= 0 { // Page[….Definition]
		inner := name[strings.LastIndexAny(name, "./")+1:]
		name = name[:open] + "Of" + capital(strings.TrimSuffix(inner, "]"))
	}
	return capital(name)
}

func capital(name string) string {
	if name == "" {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// describe lists the members of a struct. None is required: requests leave out what
// is to stay or has a default, and answers what is empty.
func (s *schemas) describe(t reflect.Type) object {
	properties := make(map[string]any)
	s.members(t, properties)
	schema := object{"type": "object", "properties": properties}
	if len(properties) == 0 {
		schema["additionalProperties"] = false
	}
	return schema
}

func (s *schemas) members(t reflect.Type, into map[string]any) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && tag == "":
			inner := f.Type
			for inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct {
				s.members(inner, into)
			}
		case !f.IsExported() || tag == "-":
		default:
			if tag == "" {
				tag = f.Name
			}
			into[tag] = s.of(f.Type)
		}
	}
}
