package admin

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

func upstreamCommand() *cobra.Command {
	return definitionCommand(registry.Upstreams, "Shows, changes and tests upstreams", testUpstreamCommand())
}

func modelCommand() *cobra.Command {
	return definitionCommand(registry.Models, "Shows and changes models", orderCommand(), activateCommand())
}

func aliasCommand() *cobra.Command {
	return definitionCommand(registry.Aliases, "Shows and changes aliases")
}

func orderCommand() *cobra.Command {
	return with(&cobra.Command{
		Use:   "order MODEL...",
		Short: "Puts models into the order in which clients see them",
		Long: `
Puts models into the order in which lists show them. Models that are not named keep
the order that they have.`,
	}, orderModels, modelWord.orMore())
}

func activateCommand() *cobra.Command {
	return with(&cobra.Command{
		Use:   "activate MODEL [SOURCE]",
		Short: "Lets one source serve a model, or all again",
		Long: `
Lets one source alone serve a model, whatever the priorities say. Without a source
all serve it again.`,
	}, activateSource, modelWord, sourceWord.orNone())
}

// orderModels posts to models/order.
func orderModels(s *session, _ *cobra.Command, args []string) error {
	answer, err := s.post("/models/order", orderRequest{Names: args})
	if err != nil {
		return err
	}
	return s.show(printout{
		answer: answer,
		names:  func() []string { return args },
		table:  func() error { return s.say("the order is %s", clean(strings.Join(args, ", "))) },
	})
}

// activateSource posts to activate.
func activateSource(s *session, _ *cobra.Command, args []string) error {
	body := activateRequest{}
	if len(args) > 1 {
		body.Source = args[1]
	}
	answer, err := s.post(pathOf(registry.Models, args[0])+"/activate", body)
	if err != nil {
		return err
	}
	return s.show(printout{
		answer: answer,
		names:  func() []string { return args[:1] },
		table: func() error {
			if body.Source == "" {
				return s.say("model %s is served by all of its sources", clean(args[0]))
			}
			return s.say("model %s is served by %s alone", clean(args[0]), clean(body.Source))
		},
	})
}
