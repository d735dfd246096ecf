package admin

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// step is a command of a story, and what is expected of it.
type step struct {
	args  []string
	input string
	code  int
	// out and notes are parts of what is printed; nothing else is looked for.
	out, notes string
}

// tell runs the commands of a story one after the other.
func tell(t *testing.T, address string, steps []step) {
	t.Helper()
	for _, x := range steps {
		out, notes, code := runWith(t.Context(), x.input, append(x.args, "--address", address)...)
		if code != x.code || !strings.Contains(out, x.out) || !strings.Contains(notes, x.notes) {
			t.Fatalf("%q: exit code %d, want %d\n%s\nwant %q\n%s\nwant %q", x.args, code, x.code, out, x.out, notes, x.notes)
		}
	}
}

func words(line string) []string { return strings.Fields(line) }

// All kinds of definitions can be added, shown, changed and deleted.
func TestDefinitions(t *testing.T) {
	address := serve(t, newMemory(t))
	file := filepath.Join(t.TempDir(), "model.json")
	if err := os.WriteFile(file, []byte(`{"name":"writer","spec":{"vendor":"us","sources":[{"upstream":"house","model":"large","weight":70}]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	tell(t, address, []step{
		{args: words("upstream add lab --url http://127.0.0.1:9/v1 --formats openai_chat,openai_embeddings --tag a --tag b --retries 0"), out: "upstream lab is added, revision 1; it is active\n"},
		{args: words("upstream add lab"), code: 1, notes: "lab"},
		{args: words("upstream add lab2 --url ftp://x"), code: 1, notes: "Error: spec.base_url: "},
		{args: words("upstream get lab -o json"), out: `"retries":0,"tags":["a","b"]`},
		{args: words("upstream set lab --tag c --dry-run"), out: "upstream lab would be changed\n"},
		{args: words("upstream set lab --tag c --url http://127.0.0.1:9/v2"), out: "upstream lab is changed, revision 2"},
		{args: words("upstream get lab -o json"), out: `"tags":["c"]`},
		{args: append(words("upstream set lab --tag"), ""), out: "revision 3"},
		{args: words("upstream ls --tag c -q"), out: ""},
		{args: words("upstream set lab"), code: 2, notes: "there is nothing to change"},
		{args: words("upstream set lab --disabled --if-revision 2"), code: 1, notes: `nothing was changed: look at it with "caddy ai upstream get lab", and repeat the command with --if-revision`},
		{args: words("upstream set lab --disabled --if-revision 0"), code: 2, notes: "from 1"},
		{args: words("upstream set lab --disabled --if-revision 3"), out: "revision 4; it is not usable: disabled"},
		{args: words("upstream set house --disabled"), code: 1, notes: "apps/ai_gateway/upstreams/house"},

		{args: append(words("model add writer -f"), file), out: "model writer is added"},
		{args: words("model set writer --source house:small --source lab:llama3:8b --source house:large:openai_chat --policy round_robin --order 3"), out: "model writer is changed"},
		{args: words("source ls writer -q"), out: "house:small\nlab:llama3:8b\nhouse:large:openai_chat\n"},
		{args: words("source add writer house large --priority 2 --weight 0"), out: "source house:large of model writer is added\n"},
		{args: words("source add writer house large"), code: 1, notes: "already"},
		{args: words("source set writer house:large --weight 5 --dry-run"), out: "would be changed"},
		{args: words("source set writer house:large --weight 5 --disabled"), out: "is changed"},
		{args: words("source set writer house:large"), code: 2, notes: "nothing to change"},
		{args: words("source set writer house:lerge --weight 5"), code: 1, notes: `did you mean "house:large"?`},
		{args: words("source rm writer house:large:openai_chat"), out: "source house:large:openai_chat is taken from model writer\n"},
		{args: words("model activate writer house:small"), out: "model writer is served by house:small alone\n"},
		{args: words("model activate writer"), out: "served by all of its sources"},
		{args: words("model activate writer house:smal"), code: 1, notes: "house:smal"},
		{args: words("model add titles --source house:small"), out: "model titles is added"},
		{args: words("model add titles --source house"), code: 2, notes: "--source takes UPSTREAM:UPSTREAM_MODEL[:FORMAT]"},
		{args: words("model order titles writer"), out: "the order is titles, writer\n"},
		{args: words("model ls --sort order --origin managed -q"), out: "titles\nwriter\n"},
		{args: words("model ls --sort size"), code: 1, notes: "sort: unknown; known are"},

		{args: words("alias add gpt-* --model writer"), out: "alias gpt-* is added"},
		{args: words("alias add other --model wirter"), code: 1, notes: "wirter"},
		{args: words("alias ls"), out: "gpt-*   usable   managed   writer   -\n"},

		{args: words("model disable writer titels"), code: 1, out: `did you mean "titles"?`},
		{args: words("model ls --status disabled -q"), out: "writer\n"},
		{args: words("model enable writer -q"), out: "writer\n"},
		{args: words("upstream rm lab"), code: 1, notes: "writer"},
		{args: words("upstream rm lab --dry-run"), out: `model "writer" loses 1 of its sources`},
		{args: words("upstream ls -q"), out: "house\nlab\n"},
		{args: words("upstream rm lab --cascade"), out: "lab        deleted"},
		{args: words("upstream get lba"), code: 1, notes: `there is no upstream "lba"`},
		{args: words("upstream get hose"), code: 1, notes: `did you mean "house"?`},
		{args: words("model rm titles writter --cascade"), code: 1, out: `did you mean "writer"?`},
		{args: words("model rm writer other --if-revision 3"), code: 2, notes: "one name only"},
		{args: words("model ls --origin managed -q"), out: "writer\n"},
	})
}

// The tables of lists and of one definition.
func TestDefinitionTables(t *testing.T) {
	for name, line := range map[string]string{
		"upstreams": "upstream ls", "models": "model ls", "aliases": "alias ls", "sources": "source ls writer",
		"definition": "model get guide", "disabled": "alias disable gpt-4 off nobody", "removed": "model rm writer --cascade",
	} {
		t.Run(name, func(t *testing.T) {
			address := serve(t, newMemory(t))
			tell(t, address, []step{
				{args: words("upstream add lab --url http://127.0.0.1:9/v1 --formats openai_chat --disabled")},
				{args: words("model add writer --source lab:x --source house:large")},
				{args: words("model add empty")},
				{args: words("alias add gpt-4 --model writer")},
				{args: words("alias add off --model guide --disabled")},
			})
			out, _, _ := run(t, append(words(line), "--address", address)...)
			golden(t, name, out)
		})
	}
}

// A definition that was shown can be changed in a file and given back: its secret
// stays.
func TestDefinitionComesBack(t *testing.T) {
	g := newMemory(t)
	address := serve(t, g)
	t.Setenv("TEST_KEY", "canary-0123456789")
	tell(t, address, []step{{args: words("upstream add acme --url http://127.0.0.1:9/v1 --credential env:TEST_KEY")}})
	shown, _, _ := run(t, "upstream", "get", "acme", "-o", "json", "--address", address)
	if strings.Contains(shown, "canary") {
		t.Fatalf("the secret is shown: %s", shown)
	}
	changed := strings.Replace(shown, `"spec":{`, `"spec":{"tags":["new"],`, 1)
	tell(t, address, []step{
		{args: words("upstream set acme -f -"), input: changed, out: "is changed"},
		{args: words("upstream set other -f -"), input: changed, code: 2, notes: `the file holds the upstream "acme", not "other"`},
		{args: words("upstream set acme -f -"), input: `[]`, code: 2, notes: "which is an object"},
	})
	if got := g.secretOf(t, "acme", "token"); got != "canary-0123456789" {
		t.Errorf("the secret is %q", got)
	}
}

// Secrets come from the environment, from files and from the standard input, and
// nothing that is printed or refused repeats them.
func TestSecrets(t *testing.T) {
	g := newMemory(t)
	address := serve(t, g)
	const secret = "canary-0123456789"
	t.Setenv("TEST_KEY", secret)
	t.Setenv("TEST_EMPTY", "")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(secret+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	accepted := []struct {
		name, credential, input, provider string
		kind, field, header               string
	}{
		{"environment", "env:TEST_KEY", "", "", "bearer", "token", ""},
		{"file", "file:" + file, "", "", "bearer", "token", ""},
		{"input", "-", secret + "\n", "", "bearer", "token", ""},
		{"kind of the provider", "env:TEST_KEY", "", "anthropic", "header", "value", "x-api-key"},
		{"kind that is named", "bearer:env:TEST_KEY", "", "anthropic", "bearer", "token", ""},
		{"header", "header:x-key:-", secret, "", "header", "value", "x-key"},
		{"query", "query:api_key:env:TEST_KEY", "", "", "query", "value", "api_key"},
		{"body", "body:key:env:TEST_KEY", "", "", "body", "value", "key"},
	}
	for _, tc := range accepted {
		t.Run(tc.name, func(t *testing.T) {
			args := append(words("upstream add --url http://127.0.0.1:9/v1 -o json --credential"), tc.credential, tc.name, "--address", address)
			if tc.provider != "" {
				args = append(args, "--provider", tc.provider)
			}
			out, notes, code := runWith(t.Context(), tc.input, args...)
			if code != 0 || strings.Contains(out+notes, secret) {
				t.Fatalf("exit code %d\n%s\n%s", code, out, notes)
			}
			var d struct {
				Spec struct {
					Credentials []map[string]any `json:"credentials"`
				} `json:"spec"`
			}
			if err := json.Unmarshal([]byte(out), &d); err != nil {
				t.Fatal(err)
			}
			c := d.Spec.Credentials[0]
			name, _ := c["name"].(string)
			if c["type"] != tc.kind || !strings.EqualFold(name, tc.header) {
				t.Errorf("got the credential %v", c)
			}
			if got := g.secretOf(t, tc.name, tc.field); got != secret {
				t.Errorf("the secret is %q", got)
			}
		})
	}
	for name, tc := range map[string]struct{ credential, notes string }{
		"the secret itself":     {secret, "never the secret itself"},
		"with a colon":          {"sk:" + secret, "never the secret itself"},
		"behind a kind":         {"bearer:" + secret, "never the secret itself"},
		"behind a header":       {"header:x-key:" + secret, "never the secret itself"},
		"header without a name": {"header:env:TEST_KEY", "takes a name too"},
		"empty variable":        {"env:TEST_EMPTY", "there is nothing in the variable"},
		"no file":               {"file:/nonexistent/" + secret, "no such file"},
		"empty input":           {"-", "there is nothing in"},
	} {
		t.Run(name, func(t *testing.T) {
			out, notes, code := run(t, "upstream", "add", "refused", "--credential", tc.credential, "--address", address)
			if code != 2 || !strings.Contains(notes, tc.notes) || strings.Contains(out+notes, secret) {
				t.Errorf("exit code %d\n%s\n%s", code, out, notes)
			}
		})
	}
	tell(t, address, []step{
		{args: words("upstream add two --credential - --credential bearer:-"), code: 2, notes: "only one thing can be read"},
		{args: words("upstream add two -f - --credential -"), code: 2, notes: "only one thing can be read"},
		{args: words("upstream add pool --url http://127.0.0.1:9 --credential env:TEST_KEY --credential bearer:env:TEST_KEY")},
		{args: words("upstream set file --credential env:TEST_KEY"), out: "is changed"},
		{args: words("upstream set nobody --credential env:TEST_KEY"), code: 1, notes: `there is no upstream "nobody"`},
	})
}
