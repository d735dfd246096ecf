package upstream

import (
	"strings"
	"testing"
	"time"
)

func TestSyncAndTags(t *testing.T) {
	u := mustProvision(t, "openai", `{"sync":"6h","expose":true,"tags":["eu","gpu pool","größe","`+strings.Repeat("é", 64)+`"]}`)
	if time.Duration(u.Sync) != 6*time.Hour || !u.Expose || len(u.Tags) != 4 {
		t.Errorf("got %v, %t, %q", u.Sync, u.Expose, u.Tags)
	}
	for _, tc := range []struct{ name, option, want string }{
		{"short interval", `"sync":"999ms"`, `sync: must be from 1s to 30 days; 0 is never`},
		{"negative interval", `"sync":"-1h"`, `sync: must be from 1s to 30 days; 0 is never`},
		{"long interval", `"sync":"721h"`, `sync: must be from 1s to 30 days; 0 is never`},
		{"empty tag", `"tags":["a",""]`, `tags[1]: must be 1 to 64 printable characters`},
		{"long tag", `"tags":["` + strings.Repeat("x", 65) + `"]`, `tags[0]: must be 1 to 64 printable characters`},
		{"line break", `"tags":["a\nb"]`, `tags[0]: must be 1 to 64 printable characters`},
		{"outer space", `"tags":["a "]`, `tags[0]: must not begin or end with a space`},
		{"tag twice", `"tags":["a","b","a"]`, `tags[2]: "a" stands twice, first as tags[0]`},
		{"many tags", `"tags":["` + strings.Repeat(`a","`, 32) + `a"]`, `tags: must be 32 at most, not 33`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := provision(t, "openai", `{`+tc.option+`}`); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}
