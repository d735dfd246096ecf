package upstream

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// Identity is a fingerprint of what the upstream is: its addresses, its formats
// and its credentials. What was observed of it is void when this changes. It is
// 32 hexadecimal digits, the same after a restart, and nothing of a secret can
// be read from it.
func (u *Upstream) Identity() string { return u.identity }

// identify computes the identity.
func (u *Upstream) identify() string {
	sum := sha256.New()
	formats := make(map[format.ID]bool, len(u.formats))
	for _, f := range u.formats {
		formats[f] = true
	}
	for _, f := range sortedKeys(formats) {
		address := ""
		if e, ok := u.endpoints[f]; ok {
			address = e.url.String()
		}
		field(sum, []byte(f))
		field(sum, []byte(address))
	}
	for i := range u.pool {
		field(sum, []byte(u.pool[i].ID))
		field(sum, u.pool[i].print)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// field adds a text in such a way that no other sequence of texts adds the same
// bytes.
func field(sum hash.Hash, text []byte) {
	length := [4]byte{byte(len(text) >> 24), byte(len(text) >> 16), byte(len(text) >> 8), byte(len(text))}
	sum.Write(length[:]) // a hash never fails
	sum.Write(text)
}

// fingerprint stands for a credential without telling anything of it: of its
// secrets if it tells them, otherwise of its definition. Only a few bytes of the
// hash are kept, so that not even a guess can be proved right by it.
func fingerprint(kind string, secrets []string, definition json.RawMessage) []byte {
	if len(secrets) == 0 {
		secrets = []string{string(definition)}
	}
	sum := hmac.New(sha256.New, []byte("ai_gateway credential "+kind))
	for _, s := range secrets {
		field(sum, []byte(s))
	}
	return sum.Sum(nil)[:4]
}
