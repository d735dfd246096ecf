package registry

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// object is a managed definition that was made ready for use, or is not used.
type object struct {
	revision uint64
	upstream *upstream.Upstream
	model    *routing.Model
	alias    *routing.Alias
	release  func() // nil: nothing is to be let go
	// shadowed says that a declared definition has the name.
	shadowed bool
	// problem is why it is not used; "" if it is.
	problem string
	// lacks is what it refers to and is not there, if that is the problem.
	lacks ID
}

// inUse says whether the snapshot has it.
func (o *object) inUse() bool { return o != nil && !o.shadowed && o.problem == "" }

// close lets go of what the object has loaded. It may be called for nil, and again.
func (o *object) close() {
	if o != nil && o.release != nil {
		o.release()
	}
}

// build makes a stored definition ready for use. What keeps it from being used is
// in the object.
func (r *Registry) build(id ID, record Record) *object {
	o := &object{revision: record.Revision}
	switch {
	case r.declares(id):
		o.shadowed = true
	case r.opt.Observe:
		o.problem = "the config does not allow managed definitions (manage observe)"
	default:
		built, err := r.provision(id, record.Spec)
		if err != nil {
			o.problem = problemOf(id, err)
			return o
		}
		built.revision = record.Revision
		return built
	}
	return o
}

// provision makes a definition ready for use. An error begins with the path of the
// field it is about.
func (r *Registry) provision(id ID, spec json.RawMessage) (*object, error) {
	switch id.Kind {
	case Upstreams:
		return r.provisionUpstream(id, spec)
	case Models:
		return r.provisionModel(spec)
	default:
		o := &object{alias: new(routing.Alias)}
		return o, routing.DecodeConfig(spec, o.alias)
	}
}

func (r *Registry) provisionUpstream(id ID, spec json.RawMessage) (*object, error) {
	opened, err := open(r.opt.Managed.store, id, spec)
	if err != nil {
		return nil, err
	}
	return r.provisionOpened(id, opened)
}

// provisionOpened makes an upstream ready whose secrets are in clear.
func (r *Registry) provisionOpened(id ID, opened json.RawMessage) (*object, error) {
	u := new(upstream.Upstream)
	if err := routing.DecodeConfig(opened, u); err != nil {
		return nil, err
	}
	ctx, release := r.context()
	if err := u.Provision(ctx, id.Name); err != nil {
		release()
		return nil, err
	}
	return &object{upstream: u, release: sync.OnceFunc(func() {
		release()
		u.Cleanup()
	})}, nil
}

func (r *Registry) provisionModel(spec json.RawMessage) (*object, error) {
	m := new(routing.Model)
	if err := routing.DecodeConfig(spec, m); err != nil {
		return nil, err
	}
	m.AllowNoSource()
	o := &object{model: m}
	if m.PolicyRaw == nil {
		return o, nil // nothing is loaded
	}
	ctx, release := r.context()
	if err := m.Provision(ctx); err != nil {
		release()
		return nil, err
	}
	o.release = sync.OnceFunc(release)
	return o, nil
}

// canonical is the one way to write a definition: that of the config's own JSON.
// An error begins with the path of the field it is about.
func canonical(kind Kind, spec json.RawMessage) (json.RawMessage, error) {
	var value any
	switch kind {
	case Upstreams:
		value = new(upstream.Upstream)
	case Models:
		value = new(routing.Model)
	default:
		value = new(routing.Alias)
	}
	if err := routing.DecodeConfig(spec, value); err != nil {
		return nil, err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("writing the definition: %w", err)
	}
	return text, nil
}

// Unsaved makes a definition of an upstream ready for use without storing it. Secrets
// that are left out, or come back as they are shown, are those of the managed
// upstream of that name; of another one, or a declared one, none are taken. The
// function lets it go again. A refusal is an *Error.
func (r *Registry) Unsaved(name string, spec json.RawMessage) (*upstream.Upstream, func(), error) {
	id := ID{Upstreams, name}
	if err := routing.CheckName(name); err != nil {
		return nil, nil, &Error{Code: CodeInvalid, ID: id, Field: "name", Message: err.Error()}
	}
	// Under a name that only the decoder takes for an address, a secret would go there.
	if err := checkNames(spec); err != nil {
		return nil, nil, refused(id, err)
	}
	record := r.opt.Managed.records().all[id]
	plain, err := seal(unsealed{r.opt.Managed.store}, id, spec, record.Spec)
	if err != nil {
		return nil, nil, refused(id, err)
	}
	opened, err := open(unsealed{r.opt.Managed.store}, id, plain)
	if err != nil {
		return nil, nil, Invalid(id, err)
	}
	o, err := r.provisionOpened(id, opened)
	if err != nil {
		return nil, nil, Invalid(id, err)
	}
	return o.upstream, o.close, nil
}

// unsealed keeps secrets in clear for as long as they are in memory only.
type unsealed struct{ Store }

// inClear begins what was not sealed.
const inClear = "clear:"

// Seal implements Store.
func (unsealed) Seal(_, _ string, plain []byte) (string, error) { return inClear + string(plain), nil }

// Unseal implements Store.
func (u unsealed) Unseal(record, field, sealed string) ([]byte, error) {
	if plain, ok := strings.CutPrefix(sealed, inClear); ok {
		return []byte(plain), nil
	}
	return u.Store.Unseal(record, field, sealed)
}
