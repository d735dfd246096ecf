package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

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
