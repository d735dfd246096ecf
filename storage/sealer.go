package storage

// UseSealer makes another sealer that of an open store, after the secret key has
// changed. It fails with ErrWrongSecretKey, and changes nothing, if it cannot open
// what the store holds.
func (s *Store) UseSealer(sealer *Sealer) error {
	s.keysMu.Lock() // nobody notes a key that the sealer does not have
	defer s.keysMu.Unlock()
	if err := sealer.checkKeys(s.dir); err != nil {
		return err
	}
	s.sealer.Store(sealer)
	return nil
}

// Stale tells whether a secret was sealed with an earlier key.
func (s *Store) Stale(sealed string) bool { return s.sealer.Load().Stale(sealed) }
