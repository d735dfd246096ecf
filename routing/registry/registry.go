// Package registry keeps the definitions of a gateway: the declared ones, which
// come from the config and are fixed as long as it is loaded, and the managed
// ones, which are created, changed and deleted while it runs. It makes one
// snapshot of both, in which a declared name wins over a managed one as a whole.
//
// The managed definitions belong to a data directory and outlive configs; a
// Registry belongs to one config and shows them beside what that declares.
package registry

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Kind is a kind of definition, by its name in configs and paths.
type Kind string

// The kinds.
const (
	Upstreams Kind = "upstreams"
	Models    Kind = "models"
	Aliases   Kind = "aliases"
)

// Kinds lists the kinds; each refers only to those before it.
var Kinds = [...]Kind{Upstreams, Models, Aliases}

// One is the name of one definition of the kind, in sentences.
func (k Kind) One() string {
	switch k {
	case Upstreams:
		return "upstream"
	case Models:
		return "model"
	default:
		return "alias"
	}
}

// ID names a definition.
type ID struct {
	Kind Kind
	Name string
}

// String is the path of the definition below apps/ai_gateway.
func (id ID) String() string { return string(id.Kind) + "/" + id.Name }

// Declared are the definitions of a config, provisioned and checked.
type Declared struct {
	routing.Definitions
	// Specs are the definitions as they were written: the JSON config, before it
	// was provisioned.
	Specs map[ID]json.RawMessage
	// Places say where definitions stand that are not in the app's own config, such
	// as "the site's ai_gateway handler".
	Places map[ID]string
}

// Options are what a registry needs.
type Options struct {
	// Context provisions managed definitions, and ends with the config.
	Context caddy.Context
	// Declared are the config's own definitions.
	Declared Declared
	// Managed are those of the data directory.
	Managed *Managed
	// State is what is observed of all of them.
	State *routing.State
	// Observed is what is seen of an upstream of that name, over all configs.
	Observed func(upstream string) *upstream.Observed
	// Catalogues are what is known of the upstreams' models. Default: nothing.
	Catalogues Catalogues
	// Observe makes the config the only source of definitions: managed ones are kept
	// and not used, and cannot be changed. Default: false.
	Observe bool
	// OnChange is told of each view that becomes the current one after the first. It
	// must not block. Default: nobody.
	OnChange func(*View)
}

// Catalogues are what is known of the upstreams' models.
type Catalogues interface {
	// Version rises with every change.
	Version() uint64
	// Catalogue is what snapshots are to know of an upstream's models; nil if
	// nothing is known. The same pointer stands for the same contents.
	Catalogue(u *upstream.Upstream) *routing.Catalogue
}

// Registry is the definitions of one config. It is safe for concurrent use.
type Registry struct {
	opt     Options
	current atomic.Pointer[View]
	// building is held while a view is made; it comes after the lock of Managed.
	building sync.Mutex
	closed   bool // guarded by building
}

// View is all definitions at one moment. It does not change.
type View struct {
	// Snapshot is what requests are routed by.
	Snapshot *routing.Snapshot

	registry   *Registry
	records    *records
	catalogues uint64
	// built are the managed definitions in use, and those that are shadowed or
	// broken, with what is wrong.
	built map[ID]*object
	// lists are the definitions of each kind, sorted, once somebody wants them.
	lists [len(Kinds)]list
}

// New makes the registry of a config and its first view. It fails if the declared
// definitions cannot stand for themselves; a managed one that does not fit is told
// of in its definition and not used.
func New(opt Options) (*Registry, error) {
	r := &Registry{opt: opt}
	snapshot, err := opt.State.NewSnapshot(opt.Declared.Definitions)
	if err != nil {
		return nil, err
	}
	first := &View{Snapshot: snapshot, registry: r, records: new(records), built: map[ID]*object{}}
	for name, u := range opt.Declared.Upstreams {
		u.Adopt(opt.Observed(name))
	}
	r.building.Lock()
	defer r.building.Unlock()
	r.current.Store(r.advance(first, opt.Managed.records()))
	opt.Managed.join(r)
	r.current.Load().Snapshot.Adopt()
	return r, nil
}

// View is the current view. What another config has changed since in the managed
// definitions is taken over first; a registry that was closed stays as it was.
func (r *Registry) View() *View {
	v := r.current.Load()
	if v.records == r.opt.Managed.records() && v.catalogues == r.catalogueVersion() {
		return v
	}
	if !r.building.TryLock() {
		return v // somebody is about it
	}
	defer r.building.Unlock()
	v = r.current.Load()
	if r.closed {
		return v
	}
	next := r.advance(v, r.opt.Managed.records())
	r.publish(v, next)
	return next
}

// Close lets go of what the registry has provisioned. Requests that still run keep
// what they use.
func (r *Registry) Close() {
	r.building.Lock()
	r.closed = true
	for _, o := range r.current.Load().built {
		o.close()
	}
	r.building.Unlock()
	if before := r.opt.Managed.leave(r); before != nil {
		before.reclaim()
	}
}

// reclaim makes what is observed that of this registry again, because a newer config
// was given up.
func (r *Registry) reclaim() {
	r.building.Lock()
	defer r.building.Unlock()
	v := r.current.Load()
	same := routing.Change{Upstreams: make(map[string]*upstream.Upstream)}
	for _, u := range v.Snapshot.Upstreams() {
		same.Upstreams[u.Name()] = u
	}
	snapshot, err := v.Snapshot.With(same)
	if err != nil || r.closed {
		return // nothing has changed that could be refused
	}
	r.publish(v, &View{Snapshot: snapshot, registry: r, records: v.records, catalogues: v.catalogues, built: v.built})
}

// publish makes a view the current one, and closes what it no longer uses. What is
// observed belongs to the newest config: an older one that still serves takes nothing
// of it away.
func (r *Registry) publish(old, next *View) {
	for id, o := range next.built {
		if o.upstream != nil && old.built[id] != o {
			o.upstream.Adopt(r.opt.Observed(id.Name))
		}
	}
	if r.opt.Managed.newest() == r {
		next.Snapshot.Adopt()
	}
	r.current.Store(next)
	if r.opt.OnChange != nil {
		r.opt.OnChange(next)
	}
	for id, o := range old.built {
		if next.built[id] != o {
			o.close()
		}
	}
}

// catalogueVersion is the version of what is known of the upstreams' models.
func (r *Registry) catalogueVersion() uint64 {
	if r.opt.Catalogues == nil {
		return 0
	}
	return r.opt.Catalogues.Version()
}

// declares says whether the config declares a name.
func (r *Registry) declares(id ID) bool {
	_, ok := r.opt.Declared.Specs[id]
	return ok
}

// place is the config path at which a declared definition is edited.
func (r *Registry) place(id ID) string {
	if where, ok := r.opt.Declared.Places[id]; ok {
		return where
	}
	return "apps/ai_gateway/" + id.String()
}

// changeOf is a change of definitions of one kind.
func changeOf(kind Kind, objects map[string]*object) routing.Change {
	var c routing.Change
	for name, o := range objects {
		addTo(&c, ID{kind, name}, o)
	}
	return c
}

// addTo adds a definition to a change; nil removes it.
func addTo(c *routing.Change, id ID, o *object) {
	if o == nil {
		o = new(object)
	}
	switch id.Kind {
	case Upstreams:
		put(&c.Upstreams, id.Name, o.upstream)
	case Models:
		put(&c.Models, id.Name, o.model)
	case Aliases:
		put(&c.Aliases, id.Name, o.alias)
	}
}

func put[T any](m *map[string]T, name string, value T) {
	if *m == nil {
		*m = make(map[string]T)
	}
	(*m)[name] = value
}

// takeCatalogues gives the snapshot of a view what is known of the upstreams'
// models. A catalogue cannot be refused.
func (r *Registry) takeCatalogues(v *View) {
	if r.opt.Catalogues == nil {
		return
	}
	change := routing.Change{Catalogues: make(map[string]*routing.Catalogue)}
	for _, u := range v.Snapshot.Upstreams() {
		if known := r.opt.Catalogues.Catalogue(u); known != v.Snapshot.Catalogue(u.Name()) {
			change.Catalogues[u.Name()] = known
		}
	}
	if len(change.Catalogues) == 0 {
		return
	}
	if snapshot, err := v.Snapshot.With(change); err == nil {
		v.Snapshot = snapshot
	}
}

// context of a definition that is provisioned: what it loads is let go with it.
func (r *Registry) context() (caddy.Context, context.CancelFunc) {
	return caddy.NewContext(r.opt.Context)
}
