package registry

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// sealed is a secret in a stored definition.
type sealed struct {
	Sealed      string `json:"sealed"`
	Hint        string `json:"hint,omitempty"`
	Fingerprint string `json:"fingerprint"`
}

// mask is a secret as it is shown.
type mask struct {
	// Set says that there is a secret.
	Set bool `json:"set"`
	// Hint is its last four characters, if it is longer than twelve.
	Hint string `json:"hint,omitempty"`
	// Fingerprint tells secrets apart: 8 hexadecimal digits.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// longEnough is the length from which the end of a secret may be shown.
const longEnough = 13

// hintOf is the part of a secret that may be shown.
func hintOf(secret string) string {
	if utf8.RuneCountInString(secret) < longEnough {
		return ""
	}
	runes := []rune(secret)
	return "…" + string(runes[len(runes)-4:])
}

// fingerprintOf stands for a secret: too short to prove a guess right.
func fingerprintOf(secret string) string {
	sum := hmac.New(sha256.New, []byte("ai_gateway secret"))
	sum.Write([]byte(secret))
	return hex.EncodeToString(sum.Sum(nil)[:4])
}

// masked are texts that stand for secrets somewhere, and are none: hints of ours,
// and the stars of others.
var masked = regexp.MustCompile(`^(?:…|\.\.\.).{0,8}$|\*{3,}|^.{0,8}…`)

// placeholder is what the config resolves, and managed definitions do not.
var placeholder = regexp.MustCompile(`\{(?:env|file|system|time)\.|\{\$[A-Za-z_]`)

// credential is an entry of an upstream's credentials, field by field.
type credential map[string]json.RawMessage

func (c credential) text(field string) string {
	var s string
	if json.Unmarshal(c[field], &s) != nil {
		return ""
	}
	return s
}

// secrets lists the fields of the entry that hold secrets.
func (c credential) secrets() []string {
	return upstream.SecretFields(c.text("type"), c.fields())
}

func (c credential) fields() []string {
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// sealedIn is the sealed secret in a field; ok is false if there is none.
func (c credential) sealedIn(field string) (s sealed, ok bool) {
	raw, there := c[field]
	if !there || len(raw) == 0 || raw[0] != '{' {
		return s, false
	}
	return s, json.Unmarshal(raw, &s) == nil && s.Sealed != ""
}

// credentialsOf takes the credentials out of the definition of an upstream.
func credentialsOf(spec json.RawMessage) (fields map[string]json.RawMessage, credentials []credential, err error) {
	if err := json.Unmarshal(spec, &fields); err != nil || fields == nil {
		return nil, nil, &Error{Code: CodeInvalid, Message: "must be an object"}
	}
	if err := json.Unmarshal(fields["credentials"], &credentials); len(fields["credentials"]) > 0 && err != nil {
		return nil, nil, &Error{Code: CodeInvalid, Field: "credentials", Message: "must be a list of objects"}
	}
	return fields, credentials, nil
}

// withCredentials is the definition with other credentials.
func withCredentials(fields map[string]json.RawMessage, credentials []credential) (json.RawMessage, error) {
	if len(credentials) == 0 {
		delete(fields, "credentials")
	} else {
		text, err := json.Marshal(credentials)
		if err != nil {
			return nil, fmt.Errorf("writing the credentials: %w", err)
		}
		fields["credentials"] = text
	}
	return json.Marshal(fields)
}

// seal makes the definition of an upstream fit to be stored: secrets that are new
// are sealed, and those that were left out, or came back as they are shown, are
// taken from the stored definition, which is nil if there is none.
func seal(store Store, id ID, spec, stored json.RawMessage) (json.RawMessage, error) {
	fields, credentials, err := credentialsOf(spec)
	if err != nil {
		return nil, err
	}
	old := map[string]credential{}
	var before map[string]json.RawMessage
	if stored != nil {
		var kept []credential
		if before, kept, err = credentialsOf(stored); err != nil {
			return nil, err
		}
		for _, c := range kept {
			old[c.text("id")] = c
		}
	}
	for name := range fields {
		fields[name] = plain(fields[name])
	}
	for _, c := range credentials {
		for name := range c {
			c[name] = plain(c[name])
		}
	}
	if err := refusePlaceholders(fields); err != nil {
		return nil, err
	}
	if addressPassword.Match(fields["transport"]) {
		return nil, &Error{Code: CodeInvalid, Field: "transport", Message: "holds the password of a proxy, which can be sealed in credentials only; declare the upstream in the config, with a placeholder for the address"}
	}
	nameAll(credentials)
	moved := stored != nil && movedFrom(before, fields)
	for i, c := range credentials {
		if c == nil {
			return nil, &Error{Code: CodeInvalid, ID: id, Field: fmt.Sprintf("credentials[%d]", i), Message: "must be an object"}
		}
		was := old[c.text("id")]
		if was != nil && was.text("type") != c.text("type") && was.text("type") != "" && c.text("type") != "" {
			was = nil // another kind of credential has other secrets
		}
		if was != nil && c.text("type") == "" {
			c["type"] = was["type"]
		}
		if err := sealOne(store, id, i, c, was, moved); err != nil {
			return nil, err
		}
	}
	return withCredentials(fields, credentials)
}

// nameAll gives an id to the credentials that have none: their position, or the
// next number that is free.
func nameAll(credentials []credential) {
	taken := make(map[string]bool)
	for _, c := range credentials {
		taken[c.text("id")] = true
	}
	for i, c := range credentials {
		if _, given := c["id"]; given || c == nil {
			continue
		}
		n := i + 1
		for taken[strconv.Itoa(n)] {
			n++
		}
		name := strconv.Itoa(n)
		taken[name] = true
		c["id"] = json.RawMessage(strconv.Quote(name))
	}
}

// noPlaceholders is why a placeholder is refused.
const noPlaceholders = "placeholders are resolved in the config only; give the value itself, or declare the upstream in the config"

// refusePlaceholders refuses what its writer believes to be resolved, outside of
// the credentials.
func refusePlaceholders(fields map[string]json.RawMessage) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "credentials" && placeholder.Match(fields[name]) {
			return &Error{Code: CodeInvalid, Field: name, Message: noPlaceholders}
		}
	}
	return nil
}

// addressPassword is the password in an address, such as that of a proxy.
var addressPassword = regexp.MustCompile(`(//[^/?#@"\s]*:)([^/?#@"\s]+)@`)

// withoutPasswords hides the passwords in the addresses of a value.
func withoutPasswords(raw json.RawMessage) json.RawMessage {
	return addressPassword.ReplaceAll(plain(raw), []byte("${1}***@"))
}

// addressFields are the fields that decide where a credential is sent, and over
// which proxy.
var addressFields = []string{"provider", "base_url", "format_urls", "transport"}

// movedFrom says whether an upstream sends its credentials elsewhere than before.
func movedFrom(before, after map[string]json.RawMessage) bool {
	return slices.ContainsFunc(addressFields, func(name string) bool { return !sameJSON(before[name], after[name]) })
}

// sameJSON says whether two values are the same but for spaces and the order of
// members.
func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	if len(a) > 0 && json.Unmarshal(a, &x) != nil || len(b) > 0 && json.Unmarshal(b, &y) != nil {
		return false
	}
	p, err1 := json.Marshal(x)
	q, err2 := json.Marshal(y)
	return err1 == nil && err2 == nil && bytes.Equal(p, q)
}

// sealOne seals the secrets of one credential.
func sealOne(store Store, id ID, i int, c, was credential, moved bool) error {
	bad := func(field, message string) error {
		return &Error{Code: CodeInvalid, ID: id, Field: fmt.Sprintf("credentials[%d].%s", i, field), Message: message}
	}
	names := c.secrets()
	if was != nil {
		for _, name := range was.secrets() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	for _, name := range names {
		raw, given := c[name]
		var kept sealed
		if was != nil {
			kept, _ = was.sealedIn(name)
		}
		switch {
		case given && string(raw) == "null":
			delete(c, name) // cleared
			continue
		case !given, string(raw) == `""`, isMask(raw, kept):
			if kept.Sealed == "" {
				if given && string(raw) != `""` {
					return bad(name, "there is no secret that could be kept; give one")
				}
				delete(c, name)
				continue
			}
			if moved {
				return bad(name, "the upstream's address changes, so its credential is needed again")
			}
			c[name] = mustJSON(kept)
			continue
		}
		var secret string
		if json.Unmarshal(raw, &secret) != nil {
			return bad(name, "must be a string, null to clear it, or left out to keep it")
		}
		if masked.MatchString(secret) {
			return bad(name, "is a mask and no secret; leave it out to keep the secret that is stored")
		}
		if placeholder.MatchString(secret) {
			return bad(name, noPlaceholders)
		}
		box, err := store.Seal(id.String(), c.text("id")+"/"+name, []byte(secret))
		if err != nil {
			if e, ok := err.(*Error); ok {
				e.ID, e.Field = id, fmt.Sprintf("credentials[%d].%s", i, name)
			}
			return err
		}
		c[name] = mustJSON(sealed{Sealed: box, Hint: hintOf(secret), Fingerprint: fingerprintOf(secret)})
	}
	return nil
}

// isMask says whether a value is the secret as it is shown: an object that says
// that it is set. One that shows another secret than the one that is kept is none.
func isMask(raw json.RawMessage, kept sealed) bool {
	if len(raw) == 0 || raw[0] != '{' {
		return false
	}
	var s sealed
	if json.Unmarshal(raw, &s) == nil && s.Sealed != "" {
		return s == kept
	}
	var m mask
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if d.Decode(&m) != nil || !m.Set {
		return false
	}
	return m.Fingerprint == "" || m.Fingerprint == kept.Fingerprint
}

func mustJSON(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, and what was JSON before
	}
	return text
}

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

// shown is a definition as it may be read: secrets become masks. Placeholders of
// declared ones are shown as they were written.
func shown(kind Kind, spec json.RawMessage) json.RawMessage {
	if kind != Upstreams {
		return spec
	}
	fields, credentials, err := credentialsOf(spec)
	if err != nil {
		return spec
	}
	hidden := withoutPasswords(fields["transport"])
	if len(credentials) == 0 && bytes.Equal(hidden, fields["transport"]) {
		return spec
	}
	if hidden != nil {
		fields["transport"] = hidden
	}
	for _, c := range credentials {
		for _, name := range c.secrets() {
			raw, there := c[name]
			if !there {
				continue
			}
			if s, ok := c.sealedIn(name); ok {
				c[name] = mustJSON(mask{Set: true, Hint: s.Hint, Fingerprint: s.Fingerprint})
				continue
			}
			var text string
			if json.Unmarshal(raw, &text) != nil || !onlyPlaceholder.MatchString(text) {
				c[name] = mustJSON(mask{Set: text != "", Hint: hintOf(text), Fingerprint: fingerprintOf(text)})
			}
		}
	}
	text, err := withCredentials(fields, credentials)
	if err != nil {
		return json.RawMessage(`{}`) // never the secrets
	}
	return text
}

// onlyPlaceholder is a text that holds a placeholder and nothing that could be a
// secret beside it.
var onlyPlaceholder = regexp.MustCompile(`^\{(?:env|file)\.[^{}]+\}$`)
