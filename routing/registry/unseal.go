package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// open makes the stored definition one that can be provisioned: with its secrets,
// and with nothing in it that would be taken for a placeholder.
func open(store Store, id ID, spec json.RawMessage) (json.RawMessage, error) {
	fields, credentials, err := credentialsOf(spec)
	if err != nil {
		return nil, err
	}
	for i, c := range credentials {
		for name := range c {
			s, ok := c.sealedIn(name)
			if !ok {
				if name != "type" && name != "id" {
					c[name] = escaped(c[name])
				}
				continue
			}
			plain, err := store.Unseal(id.String(), c.text("id")+"/"+name, s.Sealed)
			if err != nil {
				return nil, fmt.Errorf("credentials[%d].%s: %w", i, name, err)
			}
			c[name] = escaped(mustJSON(string(plain)))
		}
	}
	if err := escapeFields(fields, escaped); err != nil {
		return nil, err
	}
	return withCredentials(fields, credentials)
}

// escapeFields changes the fields of an upstream, beside its credentials, in which a
// config has placeholders.
func escapeFields(fields map[string]json.RawMessage, change func(json.RawMessage) json.RawMessage) error {
	for _, name := range []string{"base_url", "format_urls", "headers"} {
		if raw, ok := fields[name]; ok {
			fields[name] = change(raw)
		}
	}
	var health map[string]json.RawMessage
	if json.Unmarshal(fields["health"], &health) != nil || health["headers"] == nil {
		return nil // none, or refused when it is decoded
	}
	health["headers"] = change(health["headers"])
	text, err := json.Marshal(health)
	if err != nil {
		return fmt.Errorf("writing the health checks: %w", err)
	}
	fields["health"] = text
	return nil
}

// FromConfig is the definition of an upstream as it is managed, made from one as it
// stands in a config: braces that are escaped there are themselves here.
func FromConfig(spec json.RawMessage) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(spec, &fields) != nil || fields == nil {
		return spec, nil // refused when it is decoded
	}
	if err := escapeFields(fields, unescaped); err != nil {
		return nil, err
	}
	return json.Marshal(fields)
}

// unescaped undoes escaped.
func unescaped(raw json.RawMessage) json.RawMessage {
	return bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte(`\\{`), []byte(`{`)), []byte(`\\}`), []byte(`}`))
}

// plain is a value in which the characters stand for themselves, as far as JSON lets
// them: what is looked for in its text is not hidden as \u007b.
func plain(raw json.RawMessage) json.RawMessage {
	if !bytes.ContainsRune(raw, '\\') {
		return raw
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return raw // refused when it is decoded
	}
	return mustJSON(v)
}

// escaped keeps the braces in all strings of a value from being placeholders.
func escaped(raw json.RawMessage) json.RawMessage {
	if raw = plain(raw); !bytes.ContainsAny(raw, "{}") {
		return raw
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return raw // refused when it is decoded
	}
	return mustJSON(escapeValue(v))
}

var braces = strings.NewReplacer("{", `\{`, "}", `\}`)

func escapeValue(v any) any {
	switch v := v.(type) {
	case string:
		return braces.Replace(v)
	case []any:
		for i := range v {
			v[i] = escapeValue(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = escapeValue(v[name])
		}
	}
	return v
}
