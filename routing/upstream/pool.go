package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// CredentialRef is one credential of an upstream's pool, without what it keeps
// secret.
type CredentialRef struct {
	// ID names the credential within its upstream.
	ID string
	// Weight is its share of the requests; 0 means that it is used only when no
	// other is left.
	Weight int
	// Missing is the placeholder that came out empty, as it was written; such a
	// credential is skipped. It is "" for one that can be used.
	Missing string
}

// pooled is one credential, ready for use.
type pooled struct {
	CredentialRef
	credential Credential
	// hash stands for the ID in the choice.
	hash uint64
	// print is a fingerprint of the secret.
	print []byte
}

// Credentials lists the credentials in the order of the configuration, those
// that came out empty included. It is empty for an upstream without any.
func (u *Upstream) Credentials() []CredentialRef {
	refs := make([]CredentialRef, len(u.pool))
	for i := range u.pool {
		refs[i] = u.pool[i].CredentialRef
	}
	return refs
}

// commonFields are the fields of every entry of credentials, beside those of its
// module.
type commonFields struct {
	id     string
	given  bool // the id stands in the configuration
	weight int
}

// maxWeight is the largest weight.
const maxWeight = 1000

// credentialID is what an id may look like. It stands in metrics, logs and
// addresses.
var credentialID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// commonOf reads the common fields of all credentials and returns them with what
// is left for the modules. Nothing in an error is a secret.
func commonOf(credentials []json.RawMessage) ([]commonFields, []json.RawMessage, error) {
	common := make([]commonFields, len(credentials))
	rest := make([]json.RawMessage, len(credentials))
	for i, raw := range credentials {
		if err := checkSecretTypes(raw); err != nil {
			return nil, nil, fmt.Errorf("credentials[%d]%w", i, err)
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
			return nil, nil, fmt.Errorf("credentials[%d]: must be an object", i)
		}
		if err := common[i].read(fields, i); err != nil {
			return nil, nil, fmt.Errorf("credentials[%d]%w", i, err)
		}
		delete(fields, "id")
		delete(fields, "weight")
		bare, err := json.Marshal(fields)
		if err != nil {
			return nil, nil, fmt.Errorf("credentials[%d]: must be an object", i)
		}
		rest[i] = bare
	}
	return common, rest, checkIDs(common)
}

// read reads the fields of the entry at the given position. An id that is left
// out is made from the position, counted from 1.
func (c *commonFields) read(fields map[string]json.RawMessage, position int) error {
	c.id, c.weight = strconv.Itoa(position+1), 1
	if raw, ok := fields["id"]; ok {
		if err := json.Unmarshal(raw, &c.id); err != nil || !credentialID.MatchString(c.id) {
			return errors.New(".id: must be 1 to 64 letters, digits, dots, dashes and underscores, the first a letter or digit")
		}
		c.given = true
	}
	if raw, ok := fields["weight"]; ok {
		weight := -1 // null leaves it
		if err := json.Unmarshal(raw, &weight); err != nil || weight < 0 || weight > maxWeight {
			return fmt.Errorf(".weight: must be a number from 0 to %d", maxWeight)
		}
		c.weight = weight
	}
	return nil
}

// checkIDs refuses an id that two credentials have.
func checkIDs(common []commonFields) error {
	first := make(map[string]int, len(common))
	for i, c := range common {
		j, ok := first[c.id]
		switch {
		case !ok:
			first[c.id] = i
		case c.given && common[j].given:
			return fmt.Errorf("credentials[%d].id: %q is the id of credentials[%d] too", i, c.id, j)
		default:
			return fmt.Errorf("credentials[%d].id: %q is what credentials[%d] is called by its position; give both an id", max(i, j), c.id, min(i, j))
		}
	}
	return nil
}

// loadCredentials loads the pool and returns what it keeps secret.
func (u *Upstream) loadCredentials(ctx caddy.Context) ([]string, error) {
	if len(u.CredentialsRaw) == 0 {
		return nil, nil
	}
	common, rest, err := commonOf(u.CredentialsRaw)
	if err != nil {
		return nil, err
	}
	kinds := kindsOf(rest)
	u.CredentialsRaw = rest
	modules, err := ctx.LoadModule(u, "CredentialsRaw")
	if err != nil {
		return nil, fmt.Errorf("credentials%s", positioned(err.Error()))
	}
	var secrets []string
	for i, module := range modules.([]any) { // LoadModule returns this type for a list
		credential, ok := module.(Credential)
		if !ok {
			return nil, fmt.Errorf("credentials[%d]: module %T is no credential", i, module)
		}
		own := secretsOf(module)
		secrets = append(secrets, own...)
		entry := pooled{
			CredentialRef: CredentialRef{ID: common[i].id, Weight: common[i].weight},
			credential:    credential,
			hash:          hashOf(common[i].id),
			print:         fingerprint(kinds[i], own, rest[i]),
		}
		if t, ok := module.(missingTeller); ok {
			entry.Missing = t.Missing()
		}
		if _, ok := module.(memberTeller); ok {
			u.keyInBody = true
		}
		u.pool = append(u.pool, entry)
	}
	u.noteMissing()
	return secrets, nil
}

// positionOf is how Caddy names an entry of a list of modules.
var positionOf = regexp.MustCompile(`^position (\d+): `)

// positioned turns Caddy's name of an entry into ours.
func positioned(text string) string {
	if m := positionOf.FindStringSubmatch(text); m != nil {
		return "[" + m[1] + "]: " + text[len(m[0]):]
	}
	return ": " + text
}

// kindsOf lists the types of the credentials.
func kindsOf(credentials []json.RawMessage) []string {
	kinds := make([]string, len(credentials))
	for i, raw := range credentials {
		var module struct {
			Type string `json:"type"`
		}
		if json.Unmarshal(raw, &module) == nil { // anything else is refused when it is loaded
			kinds[i] = module.Type
		}
	}
	return kinds
}

func secretsOf(module any) []string {
	if t, ok := module.(secretTeller); ok {
		return t.Secrets()
	}
	return nil
}

// noteMissing marks the upstream as not configured if no credential is left.
func (u *Upstream) noteMissing() {
	var empty []string
	for i := range u.pool {
		if u.pool[i].Missing == "" {
			return
		}
		empty = append(empty, u.pool[i].Missing)
	}
	if len(empty) == 1 {
		u.lacks("credential " + empty[0] + " is empty")
		return
	}
	u.lacks("credentials " + strings.Join(empty, ", ") + " are empty")
}

// credential finds the credential with an id, or for no id the first that can be
// used; nil for an upstream without credentials.
func (u *Upstream) credential(id string) (Credential, error) {
	for i := range u.pool {
		entry := &u.pool[i]
		switch {
		case id == "" && entry.Missing == "":
			return entry.credential, nil
		case id != entry.ID:
		case entry.Missing != "":
			return nil, fmt.Errorf("%w: credential %s of upstream %q is empty (%s)", ErrUnavailable, id, u.name, entry.Missing)
		default:
			return entry.credential, nil
		}
	}
	if id != "" {
		return nil, fmt.Errorf("%w: upstream %q has no credential %q", ErrUnavailable, u.name, id)
	}
	return nil, nil
}

// authorise puts the credential of a call, or the client's own in its place, on
// the request.
func (u *Upstream) authorise(ctx context.Context, r *http.Request, call *Call) error {
	if call.Override != "" {
		return u.override(r, call)
	}
	credential, err := u.credential(call.Credential)
	if err != nil || credential == nil {
		return err
	}
	if err := credential.Apply(ctx, r, nil); err != nil {
		return fmt.Errorf("applying the credential of upstream %q: %w", u.name, err)
	}
	return nil
}
