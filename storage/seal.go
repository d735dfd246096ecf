package storage

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// Sealer encrypts single fields of records with AES-256-GCM. What it makes
// names the key it was made with and is bound to one field of one record, so
// it cannot be moved to another. It is safe for concurrent use. A nil Sealer
// has no key: it answers ErrNoSecretKey.
type Sealer struct {
	newest string // id of the key that seals
	keys   map[string]cipher.AEAD
}

// sealedMark begins every sealed field, with the version of its form:
// v1:<key id>:<base64 of nonce and ciphertext>.
const sealedMark = "v1:"

// secretKeySize is the length of a secret key in bytes.
const secretKeySize = 32

// NewSealer returns a sealer for a secret key of 32 bytes in base64, standard
// or URL-safe, with or without padding. What earlier keys have sealed can be
// opened too. It fails with ErrBadSecretKey, without a word about the key.
func NewSealer(secretKey string, earlier ...string) (*Sealer, error) {
	s := &Sealer{keys: make(map[string]cipher.AEAD, 1+len(earlier))}
	for _, text := range append([]string{secretKey}, earlier...) {
		id, aead, err := parseSecretKey(text)
		if err != nil {
			return nil, err
		}
		s.keys[id] = aead
		if s.newest == "" {
			s.newest = id
		}
	}
	return s, nil
}

// parseSecretKey makes a cipher of a key's text, and the id that tells keys
// apart and says nothing about them.
func parseSecretKey(text string) (id string, aead cipher.AEAD, err error) {
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimSpace(text))
	key, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(text, "="))
	if err != nil || len(key) != secretKeySize {
		return "", nil, ErrBadSecretKey // The cause would quote the key.
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", nil, fmt.Errorf("using the secret key: %w", err)
	}
	if aead, err = cipher.NewGCM(block); err != nil {
		return "", nil, fmt.Errorf("using the secret key: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("caddy-ai-gateway key id"))
	return hex.EncodeToString(mac.Sum(nil)[:8]), aead, nil
}

// seal encrypts a field of a record. Two calls never give the same result.
func (s *Sealer) seal(record, field string, plain []byte) (string, error) {
	if s == nil {
		return "", ErrNoSecretKey
	}
	aead := s.keys[s.newest]
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("sealing a secret: %w", err)
	}
	box := aead.Seal(nonce, nonce, plain, sealedFor(s.newest, record, field))
	return sealedMark + s.newest + ":" + base64.RawStdEncoding.EncodeToString(box), nil
}

// Open decrypts what was sealed for this field of this record. It fails with
// ErrNoSecretKey, with ErrWrongSecretKey if another key sealed it, and with
// ErrDamaged if it was changed or belongs elsewhere.
func (s *Sealer) Open(record, field, sealed string) ([]byte, error) {
	if s == nil {
		return nil, ErrNoSecretKey
	}
	id, text, err := splitSealed(sealed)
	if err != nil {
		return nil, err
	}
	aead, ok := s.keys[id]
	if !ok {
		return nil, fmt.Errorf("opening a secret: %w", ErrWrongSecretKey)
	}
	box, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil || len(box) < aead.NonceSize() {
		return nil, fmt.Errorf("opening a secret: %w", ErrDamaged)
	}
	nonce, box := box[:aead.NonceSize()], box[aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, box, sealedFor(id, record, field))
	if err != nil {
		return nil, fmt.Errorf("opening a secret: %w", ErrDamaged)
	}
	return plain, nil
}

// Stale tells whether a sealed field was made with an earlier key and should
// be sealed anew.
func (s *Sealer) Stale(sealed string) bool {
	if s == nil {
		return false
	}
	id, _, err := splitSealed(sealed)
	return err == nil && id != s.newest
}

// splitSealed takes a sealed field apart.
func splitSealed(sealed string) (id, box string, err error) {
	rest, marked := strings.CutPrefix(sealed, sealedMark)
	id, box, split := strings.Cut(rest, ":")
	if !marked || !split || id == "" {
		return "", "", fmt.Errorf("opening a secret: %w", ErrDamaged)
	}
	return id, box, nil
}

// sealedFor is the associated data of a sealed field: form, key, record and
// field, each with its length, so that no two places share it.
func sealedFor(id, record, field string) []byte {
	var b []byte
	for _, part := range []string{sealedMark, id, record, field} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}
