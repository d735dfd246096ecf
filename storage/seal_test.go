package storage

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secretKey makes the text of a secret key.
func secretKey(b byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, secretKeySize))
}

func newSealer(t testing.TB, keys ...string) *Sealer {
	t.Helper()
	s, err := NewSealer(keys[0], keys[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealedFieldOpensOnlyWhereItBelongs(t *testing.T) {
	s := newSealer(t, secretKey(1))
	sealed, err := s.seal("upstreams/openai", "token", []byte("sk-secret"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.seal("upstreams/openai", "token", []byte("sk-secret"))
	if err != nil || again == sealed {
		t.Errorf("sealing twice gave the same text, %v", err)
	}
	if strings.Contains(sealed, "secret") {
		t.Error("the sealed text shows the secret")
	}
	plain, err := s.Open("upstreams/openai", "token", sealed)
	if err != nil || string(plain) != "sk-secret" {
		t.Fatalf("got %q, %v", plain, err)
	}
	_, err = s.Open("upstreams/other", "token", sealed)
	wantError(t, err, ErrDamaged)
	_, err = s.Open("upstreams/openai", "other", sealed)
	wantError(t, err, ErrDamaged)
	_, err = s.Open("upstreams/openaitoken", "", sealed)
	wantError(t, err, ErrDamaged)
	_, err = newSealer(t, secretKey(2)).Open("upstreams/openai", "token", sealed)
	wantError(t, err, ErrWrongSecretKey)
	_, err = (*Sealer)(nil).Open("upstreams/openai", "token", sealed)
	wantError(t, err, ErrNoSecretKey)
	_, err = (*Sealer)(nil).seal("r", "f", nil)
	wantError(t, err, ErrNoSecretKey)
}

func TestSealedFieldNoticesEveryChange(t *testing.T) {
	s := newSealer(t, secretKey(1))
	sealed, err := s.seal("r", "f", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		for _, c := range []byte("Aa0:") {
			if sealed[i] == c {
				continue
			}
			bad := sealed[:i] + string(c) + sealed[i+1:]
			if plain, err := s.Open("r", "f", bad); err == nil {
				t.Errorf("%q opens as %q", bad, plain)
			} else if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrWrongSecretKey) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if _, err := s.Open("r", "f", sealed[:i]); err == nil {
			t.Errorf("%q opens", sealed[:i])
		}
	}
}

func TestSecretKeysAreChecked(t *testing.T) {
	raw := bytes.Repeat([]byte{0xfb, 0xff}, secretKeySize/2) // has + and / in base64
	for _, text := range []string{
		base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw) + "\n",
	} {
		s := newSealer(t, text)
		if want := newSealer(t, base64.StdEncoding.EncodeToString(raw)); s.newest != want.newest {
			t.Errorf("%q is another key than it should be", text)
		}
	}
	for _, text := range []string{"", "short", secretKey(1)[:40], secretKey(1) + "AAAA", "!" + secretKey(1)[1:], strings.Repeat("k", 32)} {
		_, err := NewSealer(text)
		wantError(t, err, ErrBadSecretKey)
		if err != nil && len(text) > 8 && strings.Contains(err.Error(), text) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	if _, err := NewSealer(secretKey(1), "bad"); !errors.Is(err, ErrBadSecretKey) {
		t.Errorf("a bad earlier key: %v", err)
	}
}

func TestFault74WrongOrMissingSecretKey(t *testing.T) {
	dir := t.TempDir()
	s := openAny(t, Options{Dir: dir, Sealer: newSealer(t, secretKey(1))}, system{})
	secrets := NewTable[string](s, "secrets")
	sealed, err := sealNoted(s, "secrets/a", "token", []byte("canary-secret"))
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, secrets, "a", sealed)
	if _, err := s.Backup(); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	before := treeState(t, dir)

	for name, tc := range map[string]struct {
		sealer *Sealer
		want   error
	}{
		"missing": {nil, ErrNoSecretKey},
		"wrong":   {newSealer(t, secretKey(2)), ErrWrongSecretKey},
	} {
		t.Run(name, func(t *testing.T) {
			s := openAny(t, Options{Dir: dir, Sealer: tc.sealer}, system{})
			st := s.Status()
			if !st.Degraded || st.Available || !strings.Contains(st.Reason, "secret") || strings.Contains(st.Reason, secretKey(2)) {
				t.Errorf("status: %+v", st)
			}
			_, _, err := NewTable[string](s, "secrets").Get("a")
			wantError(t, err, ErrDegraded)
			wantError(t, err, tc.want)
			_, err = NewTable[string](s, "secrets").Put("b", "x", Any)
			wantError(t, err, tc.want)
			closeStore(t, s)
			if after := treeState(t, dir); after != before {
				t.Errorf("files were touched:\n%s\nbefore:\n%s", after, before)
			}
		})
	}

	t.Run("nor is a backup passed over", func(t *testing.T) {
		if err := os.RemoveAll(filepath.Join(dir, "store")); err != nil {
			t.Fatal(err)
		}
		s := openAny(t, Options{Dir: dir}, system{})
		_, _, err := NewTable[string](s, "secrets").Get("a")
		wantError(t, err, ErrNoSecretKey)
		closeStore(t, s)
		s = openAny(t, Options{Dir: dir, Sealer: newSealer(t, secretKey(1))}, system{})
		plain, err := s.Unseal("secrets/a", "token", mustGet(t, NewTable[string](s, "secrets"), "a"))
		if err != nil || string(plain) != "canary-secret" {
			t.Errorf("after the restore: %q, %v", plain, err)
		}
	})
}

func TestSecretKeyIsChanged(t *testing.T) {
	dir := t.TempDir()
	s := openAny(t, Options{Dir: dir, Sealer: newSealer(t, secretKey(1))}, system{})
	old, err := sealNoted(s, "r", "f", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)

	s = openAny(t, Options{Dir: dir, Sealer: newSealer(t, secretKey(2), secretKey(1))}, system{})
	if !s.sealer.Load().Stale(old) {
		t.Error("what the earlier key sealed is not stale")
	}
	plain, err := s.Unseal("r", "f", old)
	if err != nil {
		t.Fatal(err)
	}
	renewed, err := sealNoted(s, "r", "f", plain)
	if err != nil || s.sealer.Load().Stale(renewed) {
		t.Fatalf("sealed anew: stale or %v", err)
	}
	closeStore(t, s)
	s = openAny(t, Options{Dir: dir, Sealer: newSealer(t, secretKey(2))}, system{})
	if s.Status().Available {
		t.Error("the store opened although it may need the earlier key")
	}
	closeStore(t, s)
	s = openAny(t, Options{Dir: dir, Sealer: newSealer(t, secretKey(2), secretKey(1))}, system{})
	if err := s.ForgetKeys(); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	s = openAny(t, Options{Dir: dir, Sealer: newSealer(t, secretKey(2))}, system{})
	if plain, err := s.Unseal("r", "f", renewed); err != nil || string(plain) != "secret" {
		t.Errorf("with the new key alone: %q, %v", plain, err)
	}
}

func FuzzUnseal(f *testing.F) {
	s := newSealer(f, secretKey(1))
	sealed, err := s.seal("r", "f", []byte("secret"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add("v1:" + s.newest + ":")
	f.Fuzz(func(t *testing.T, text string) {
		// The seed is sealed anew in each process, but it always holds this.
		if plain, err := s.Open("r", "f", text); err == nil && string(plain) != "secret" {
			t.Errorf("%q opens as %q", text, plain)
		}
	})
}
