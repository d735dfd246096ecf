package aigateway

import (
	"context"
	"errors"
	"path/filepath"
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

// dataDir is where the state is kept.
func (a *App) dataDir() (string, error) {
	dir := a.DataDir
	if dir == "" {
		dir = filepath.Join(caddy.AppDataDir(), "ai_gateway")
	}
	return filepath.Abs(dir)
}
