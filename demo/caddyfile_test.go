package demo_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/demo"
)

func TestCaddyfile(t *testing.T) {
	for _, tc := range []struct {
		name, input, wantErr string
		tokens               int
		delay                time.Duration
	}{
		{name: "bare", input: "ai_gateway_demo"},
		{name: "all", input: "ai_gateway_demo {\ntokens_per_second 7\ndelay 2s\n}", tokens: 7, delay: 2 * time.Second},
		{name: "argument", input: "ai_gateway_demo x", wantErr: "wrong argument count"},
		{name: "unknown", input: "ai_gateway_demo {\nspeed 7\n}", wantErr: `unknown option "speed" of transport ai_gateway_demo; known are tokens_per_second and delay`},
		{name: "no value", input: "ai_gateway_demo {\ndelay\n}", wantErr: "wrong argument count"},
		{name: "bad number", input: "ai_gateway_demo {\ntokens_per_second 0\n}", wantErr: "takes a whole number from 1"},
		{name: "bad duration", input: "ai_gateway_demo {\ndelay soon\n}", wantErr: "delay takes a duration"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var d demo.Transport
			err := d.UnmarshalCaddyfile(caddyfile.NewTestDispenser(tc.input))
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("got %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil || d.TokensPerSecond != tc.tokens || time.Duration(d.Delay) != tc.delay {
				t.Errorf("got %d, %s, %v", d.TokensPerSecond, time.Duration(d.Delay), err)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	for _, d := range []*demo.Transport{{TokensPerSecond: -1}, {Delay: -1}} {
		if err := d.Validate(); err == nil {
			t.Error("got no error")
		}
	}
}
