package registry

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
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

// addressPassword is the password in an address, such as that of a proxy.
var addressPassword = regexp.MustCompile(`(//[^/?#@"\s]*:)([^/?#@"\s]+)@`)

// withoutPasswords hides the passwords in the addresses of a value.
func withoutPasswords(raw json.RawMessage) json.RawMessage {
	return addressPassword.ReplaceAll(plain(raw), []byte("${1}***@"))
}

func mustJSON(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, and what was JSON before
	}
	return text
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
