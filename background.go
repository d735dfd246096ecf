package aigateway

import (
	"context"
	"sync"

	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/catalogue"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// background is what goes on beside the requests of a config, for each upstream of
// the current snapshot: active checks, and syncs of its catalogue.
type background struct {
	mu      sync.Mutex
	ctx     context.Context // nil: it has not begun, or is over
	end     context.CancelFunc
	syncer  *catalogue.Syncer
	logger  *zap.Logger
	running map[*upstream.Upstream]context.CancelFunc
	loops   sync.WaitGroup
}

// start lets follow begin loops.
func (b *background) start(ctx context.Context, syncer *catalogue.Syncer, logger *zap.Logger) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ctx, b.end = context.WithCancel(ctx)
	b.syncer, b.logger, b.running = syncer, logger, make(map[*upstream.Upstream]context.CancelFunc)
}

// follow begins the loops of upstreams that are new in a snapshot, and ends those of
// upstreams that are gone. It does not wait for them.
func (b *background) follow(s *routing.Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx == nil {
		return
	}
	current := make(map[*upstream.Upstream]bool)
	for _, u := range s.Upstreams() {
		current[u] = true
		if _, ok := b.running[u]; !ok {
			b.begin(u)
		}
	}
	for u, end := range b.running {
		if !current[u] {
			end()
			delete(b.running, u)
		}
	}
}

// begin starts the loops of one upstream, if it has any.
func (b *background) begin(u *upstream.Upstream) {
	checker, checked := u.Checker()
	if !checked && u.Sync == 0 {
		return
	}
	ctx, end := context.WithCancel(b.ctx)
	b.running[u] = end
	if checked {
		checker.OnChange = func(v upstream.HealthView) { b.tellHealth(u.Name(), v) }
		b.loops.Go(func() { checker.Run(ctx) })
	}
	if u.Sync > 0 {
		b.loops.Go(func() { b.syncer.Run(ctx, []*upstream.Upstream{u}) })
	}
}

// tellHealth tells the log that the checks of an upstream bar it now, or no longer do.
func (b *background) tellHealth(name string, v upstream.HealthView) {
	if v.Unhealthy {
		b.logger.Warn("health changed", zap.String("upstream", name), zap.Bool("healthy", false), zap.String("reason", v.LastError))
		return
	}
	b.logger.Info("health changed", zap.String("upstream", name), zap.Bool("healthy", true))
}

// stop ends all loops and waits for them.
func (b *background) stop() {
	b.mu.Lock()
	if b.end != nil {
		b.end()
	}
	b.ctx = nil
	b.mu.Unlock()
	b.loops.Wait()
}
