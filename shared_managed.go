package aigateway

import (
	"context"

	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/admin"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/catalogue"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/storage"
)

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
