package aigateway

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/admin"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/catalogue"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/storage"
)

// pool holds what outlives a config, by data directory: a reload builds a new app
// on the same state, so that circuits stay as they are and the directory's lock is
// taken once.
var pool = caddy.NewUsagePool()

// shared is what is observed and what is managed, and where it is kept.
type shared struct {
	routing    *routing.State
	managed    *registry.Managed
	catalogues *catalogue.Syncer
	offers     *offers
	events     *admin.Events
	store      *storage.Store
	writer     *routing.CircuitWriter
	logger     *zap.Logger
	started    time.Time
	stop       context.CancelFunc
	done       chan struct{} // closed when nobody reopens the store any more
	opening    sync.Mutex    // held while a store that was not there is opened

	mu        sync.Mutex
	upstreams map[string]*upstream.Observed
}

// reopenEvery is how often a store that could not be opened is tried again.
const reopenEvery = 10 * time.Second

// acquire returns the state of a data directory, and opens it if no config has it
// in use. It is given back with release.
// The sealer is for the secrets in its store.
func acquire(dir string, sealer *storage.Sealer) (*shared, error) {
	value, loaded, err := pool.LoadOrNew(dir, func() (caddy.Destructor, error) { return newShared(dir, sealer) })
	if err != nil {
		return nil, err
	}
	s := value.(*shared)
	if loaded {
		s.rekey(sealer)
	}
	return s, nil
}

// release gives the state of a data directory back; the last one closes it.
func release(dir string) error {
	_, err := pool.Delete(dir)
	return err
}

// newShared opens the state. A store that cannot be used leaves the gateway
// without a memory, not without service.
func newShared(dir string, sealer *storage.Sealer) (*shared, error) {
	logger := caddy.Log().Named("ai_gateway")
	ctx, stop := context.WithCancel(context.Background())
	store, err := storage.Open(ctx, storage.Options{Dir: dir, Logger: logger.Named("store"), Sealer: sealer})
	if err != nil {
		stop()
		return nil, err
	}
	s := &shared{
		routing: routing.NewState(), events: new(admin.Events), store: store, logger: logger, started: time.Now(),
		stop: stop, done: make(chan struct{}), upstreams: make(map[string]*upstream.Observed),
	}
	s.manage()
	s.routing.Circuits.OnChange(s.tellCircuit)
	kept := s.kept()
	s.writer = routing.NewCircuitWriter(kept, s.tellWriter)
	s.restore(kept)
	go s.reopen(ctx)
	return s, nil
}

// manage reads what is managed, and what is known of the upstreams' models.
func (s *shared) manage() {
	var err error
	if s.managed, err = registry.NewManaged(newDefinitionStore(s.store), s.tellDefinitions); err != nil {
		s.logger.Error("some managed definitions could not be read from the store", zap.Error(err))
	}
	s.catalogues = catalogue.New(newCatalogueTable(s.store))
	s.offers = &offers{syncer: s.catalogues}
	s.catalogues.OnChange(s.tellCatalogue)
	s.catalogues.OnError(func(name string, err error) {
		s.logger.Warn("the models of an upstream could not be synced", zap.String("upstream", name), zap.Error(err))
		s.events.Tell(admin.EventCatalogue, admin.CatalogueEvent{Upstream: name, Error: err.Error()})
	})
	if err := s.catalogues.Load(); err != nil {
		s.logger.Error("some catalogues could not be read from the store", zap.Error(err))
	}
	s.reseal()
}

// rekey takes the secret key of another config into use, which may be none. One that
// does not fit what is in the store is not used: as long as the process runs the
// secrets stay readable with the one before.
func (s *shared) rekey(sealer *storage.Sealer) {
	if err := s.store.UseSealer(sealer); err != nil {
		s.logger.Error("the config's secret key is not used: it cannot open the secrets in the store", zap.Error(err))
		return
	}
	if !s.store.Status().Available {
		s.reopenNow(context.Background())
		return
	}
	s.reseal()
}

// reseal seals anew what is sealed with an earlier secret key.
func (s *shared) reseal() {
	n, err := s.managed.Reseal()
	switch {
	case err != nil:
		s.logger.Error("secrets could not be sealed with the new secret key; the earlier keys are still needed", zap.Error(err))
	case n > 0:
		s.logger.Info("secrets are sealed with the new secret key; the earlier keys are no longer needed", zap.Int("definitions", n))
	}
}

// tellDefinitions tells of changed definitions.
func (s *shared) tellDefinitions(changes []registry.Event) {
	for _, c := range changes {
		s.events.Tell(admin.EventDefinition, admin.DefinitionEvent{
			Kind: c.Kind.One(), Name: c.Name, What: string(c.What), Revision: c.Revision, Actor: c.Actor,
		})
		if c.Kind == registry.Upstreams && c.Gone {
			// Its catalogue goes with it, and before another one can have the name.
			if err := s.catalogues.Delete(c.Name); err != nil {
				s.logger.Warn("the catalogue of a deleted upstream is still there", zap.String("upstream", c.Name), zap.Error(err))
			}
		}
	}
}

// tellCatalogue tells of a changed catalogue, also the snapshots.
func (s *shared) tellCatalogue(name string, d catalogue.Diff) {
	s.offers.version.Add(1)
	s.events.Tell(admin.EventCatalogue, admin.CatalogueEvent{Upstream: name, Added: len(d.Added), Gone: len(d.Gone), Changed: len(d.Changed)})
}

// restore gives the circuits the states they had before.
func (s *shared) restore(kept circuitTable) {
	status := s.store.Status()
	if status.Degraded {
		s.logger.Warn("the store is degraded: what is observed may not outlive the process", zap.String("reason", status.Reason))
	}
	now := time.Now()
	// Without a store, people who force a circuit are told that it was not stored.
	defer s.routing.Circuits.Persist(now, s.writer)
	if !status.Available {
		return
	}
	records, err := kept.LoadCircuits()
	if err != nil {
		s.logger.Error("some circuits could not be read from the store", zap.Error(err))
	}
	if err := s.routing.Circuits.Load(now, records); err != nil {
		s.logger.Error("some circuits could not be restored", zap.Error(err))
	}
}

// reopen tries again to open a store that is not there, and keeps one that is
// free of what nobody needs.
func (s *shared) reopen(ctx context.Context) {
	defer close(s.done)
	ticker := time.NewTicker(reopenEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if s.store.Status().Available {
			s.prune()
			continue
		}
		s.reopenNow(ctx)
	}
}

// reopenNow opens a store that is not there, if that can be done, and reads it.
func (s *shared) reopenNow(ctx context.Context) {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.store.Status().Available || s.store.Reopen(ctx) != nil {
		return // its status tells why
	}
	s.logger.Info("the store is open again")
	s.restore(s.kept())
	s.reload()
	s.reseal()
}

// reload reads what is managed again.
func (s *shared) reload() {
	if err := errors.Join(s.managed.Reload(), s.catalogues.Load()); err != nil {
		s.logger.Error("some definitions or catalogues could not be read from the store", zap.Error(err))
	}
	s.offers.version.Add(1)
}

// restored takes in what another store holds. The circuits that have changed since
// the start are what is seen now, and stay.
func (s *shared) restored() {
	s.restore(s.kept())
	if err := errors.Join(s.managed.Reload(), s.catalogues.Replace()); err != nil {
		s.logger.Error("some definitions or catalogues could not be read from the backup", zap.Error(err))
	}
	s.offers.version.Add(1)
	s.reseal()
}

// kept is where circuits are stored.
func (s *shared) kept() circuitTable {
	return circuitTable{storage.NewTable[routing.CircuitRecord](s.store, "circuits"), s.store}
}

// prune forgets the circuits of what is no longer defined.
func (s *shared) prune() {
	if err := s.routing.Circuits.Prune(time.Now()); err != nil {
		s.logger.Error("circuits of what is no longer defined stay in the store", zap.Error(err))
	}
}

// observed is what is seen of an upstream of that name.
func (s *shared) observed(name string) *upstream.Observed {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.upstreams[name]
	if !ok {
		o = new(upstream.Observed)
		s.upstreams[name] = o
	}
	return o
}

// Destruct implements caddy.Destructor: no config uses the state any more.
func (s *shared) Destruct() error {
	s.stop()
	<-s.done
	s.events.Close()
	return errors.Join(s.writer.Close(), s.store.Close())
}

// tellCircuit tells the log, and whoever follows the events, of a transition.
func (s *shared) tellCircuit(r routing.CircuitRecord) {
	s.events.Tell(admin.EventCircuit, admin.CircuitEvent(r))
	fields := []zap.Field{
		zap.String("upstream", r.Key.Upstream), zap.String("scope", string(r.Key.Scope)),
		zap.Stringer("state", r.State), zap.String("reason", r.Reason),
	}
	if r.Key.Model != "" {
		fields = append(fields, zap.String("upstream_model", r.Key.Model))
	}
	if r.Key.Credential != "" {
		fields = append(fields, zap.String("credential", r.Key.Credential))
	}
	if r.State == routing.CircuitOpen || r.State == routing.CircuitForcedOpen {
		s.logger.Warn("circuit changed", fields...)
		return
	}
	s.logger.Info("circuit changed", fields...)
}

// tellWriter tells the log when circuits can no longer be stored, and when they can
// again.
func (s *shared) tellWriter(err error) {
	if err != nil {
		s.logger.Error("circuits cannot be stored; they are kept in memory", zap.Error(err))
		return
	}
	s.logger.Info("circuits are stored again")
}

// circuitTable keeps circuits in the store.
type circuitTable struct {
	*storage.Table[routing.CircuitRecord]
	store *storage.Store
}

// circuitKey is the key of a circuit's record.
func circuitKey(k routing.CircuitKey) string {
	return strings.Join([]string{string(k.Scope), k.Upstream, k.Model, k.Credential}, "\x00")
}

// LoadCircuits implements routing.CircuitStore. Records that cannot be read are
// left out, and told with the error.
func (t circuitTable) LoadCircuits() ([]routing.CircuitRecord, error) {
	var records []routing.CircuitRecord
	var errs []error
	for row, err := range t.All() {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		records = append(records, row.Value)
	}
	return records, errors.Join(errs...)
}

// SaveCircuits implements routing.CircuitStore.
func (t circuitTable) SaveCircuits(records []routing.CircuitRecord) error {
	var b storage.Batch
	for _, r := range records {
		t.PutIn(&b, circuitKey(r.Key), r, storage.Any)
	}
	_, err := t.store.Commit(&b)
	return err
}

// DeleteCircuits implements routing.CircuitStore. Most circuits never changed and
// have no record, which a batch would refuse to delete. Nobody else writes them
// meanwhile.
func (t circuitTable) DeleteCircuits(keys []routing.CircuitKey) error {
	for part := range slices.Chunk(keys, deletedAtOnce) {
		var b storage.Batch
		deletes := false
		for _, k := range part {
			if _, _, err := t.Get(circuitKey(k)); errors.Is(err, storage.ErrNotFound) {
				continue
			}
			t.DeleteIn(&b, circuitKey(k), storage.Any)
			deletes = true
		}
		if !deletes {
			continue
		}
		if _, err := t.store.Commit(&b); err != nil {
			return err
		}
	}
	return nil
}

// deletedAtOnce keeps a batch within what the store takes.
const deletedAtOnce = 256

// dataDir is where the state is kept.
func (a *App) dataDir() (string, error) {
	dir := a.DataDir
	if dir == "" {
		dir = filepath.Join(caddy.AppDataDir(), "ai_gateway")
	}
	return filepath.Abs(dir)
}
