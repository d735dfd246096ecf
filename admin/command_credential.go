package admin

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// credentialsOf reads the secrets of --credential.
func (s *session) credentialsOf(cmd *cobra.Command, name string, spec map[string]json.RawMessage, patch bool) ([]json.RawMessage, error) {
	words, err := cmd.Flags().GetStringArray("credential")
	if err != nil {
		return nil, err
	}
	var all []json.RawMessage
	for _, word := range words {
		fields, secret, err := s.credentialIn(word)
		if err != nil {
			return nil, err
		}
		if fields != nil {
			all = append(all, mustWrite(fields))
			continue
		}
		preset, err := s.presetOf(name, spec, patch)
		if err != nil {
			return nil, err
		}
		all = append(all, upstream.PresetCredential(preset, secret, formatsIn(spec)...))
	}
	return all, nil
}

// formatsIn are the formats that a definition names; a value that is none is refused
// by the server.
func formatsIn(spec map[string]json.RawMessage) []format.ID {
	var formats []format.ID
	if json.Unmarshal(spec["formats"], &formats) != nil {
		return nil
	}
	return formats
}

// credentialIn reads the secret of one --credential. The fields are nil if no type is
// named. No error repeats the word, which may be a secret.
func (s *session) credentialIn(word string) (fields map[string]string, secret string, err error) {
	kind, rest, typed := strings.Cut(word, ":")
	if !typed || kind == "env" || kind == "file" {
		secret, err = s.readSecret("credential", word)
		return nil, secret, err
	}
	info, err := caddy.GetModule("ai_gateway.credentials." + kind)
	if err != nil {
		return nil, "", misused("--credential %s", whyNoSecret)
	}
	secrets := upstream.SecretFields(info.ID.Name(), nil)
	if len(secrets) != 1 {
		return nil, "", misused("a credential of the type %s has several fields: give it in a file, with -f", kind)
	}
	fields = map[string]string{"type": kind}
	if kind == "header" || kind == "query" || kind == "body" {
		name, source, ok := strings.Cut(rest, ":")
		if !ok || name == "" || name == "env" || name == "file" {
			return nil, "", misused("--credential of the type %s takes a name too, such as %s:x-api-key:env:NAME", kind, kind)
		}
		fields["name"], rest = name, source
	}
	secret, err = s.readSecret("credential", rest)
	fields[secrets[0]] = secret
	return fields, secret, err
}

// presetOf is the provider that decides what a credential looks like: that of the
// file or the flag, or that of the definition that is to be changed.
func (s *session) presetOf(name string, spec map[string]json.RawMessage, patch bool) (string, error) {
	raw, said := spec["provider"]
	if !said && patch {
		answer, err := s.get(pathOf(registry.Upstreams, name), nil)
		if err != nil {
			return "", err
		}
		var d struct {
			Spec map[string]json.RawMessage `json:"spec"`
		}
		if err := json.Unmarshal(answer, &d); err != nil {
			return "", fmt.Errorf("reading the upstream: %w", err)
		}
		raw = d.Spec["provider"]
	}
	var preset string
	if len(raw) == 0 || json.Unmarshal(raw, &preset) != nil || preset == "" {
		return name, nil
	}
	return preset, nil
}
