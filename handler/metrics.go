package handler

import (
	"errors"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// droppedFields counts what translations dropped or changed. Collectors live as
// long as the process: each config has a registry of its own, and counters must
// not fall to zero with a reload.
var droppedFields = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "caddy", Subsystem: "ai_gateway", Name: "dropped_fields_total",
	Help: "Fields of requests and answers that a translation between formats dropped or changed.",
}, []string{"from", "to", "field"})

// registerMetrics makes the collectors part of the config's registry. Handlers of
// one config share them.
func registerMetrics(ctx caddy.Context) error {
	registry := ctx.GetMetricsRegistry()
	if registry == nil {
		return nil // a context without a config, as tests have it
	}
	err := registry.Register(droppedFields)
	if _, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		return nil
	}
	return err
}

// countedFields are the fields that have a label of their own; there must not be
// as many series as clients can think of names.
var countedFields = map[string]bool{
	"audio": true, "background": true, "cache_control": true, "cachedContent": true, "container": true,
	"context_management": true, "conversation": true, "frequency_penalty": true, "include": true,
	"logit_bias": true, "logprobs": true, "max_output_tokens": true, "max_tokens": true, "mcp_servers": true,
	"messages": true, "metadata": true, "modalities": true, "n": true, "output_config": true,
	"parallel_tool_calls": true, "prediction": true, "presence_penalty": true, "prompt": true,
	"prompt_cache_key": true, "reasoning": true, "reasoning_effort": true, "response_format": true,
	"safetySettings": true, "safety_identifier": true, "seed": true, "service_tier": true, "stop": true,
	"stop_sequences": true, "store": true, "stream_options": true, "system": true, "temperature": true,
	"text": true, "thinking": true, "tool_choice": true, "tools": true, "top_k": true, "top_logprobs": true,
	"top_p": true, "truncation": true, "user": true, "verbosity": true, "web_search_options": true,
}

// countDropped counts one field that was lost between two formats.
func countDropped(from, to format.ID, path string) {
	field := path
	if i := strings.IndexAny(field, ".["); i >= 0 {
		field = field[:i]
	}
	if !countedFields[field] {
		field = "_other"
	}
	droppedFields.WithLabelValues(string(from), string(to), field).Inc()
}
