package storage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A record is a header and a JSON value:
//
//	version 1 byte | revision 8 | length of the value 4 | CRC-32C 4 | value
//
// The checksum covers the key, the header before it and the value, so that a
// value that turns up under another key is noticed too. Numbers are
// big-endian.
const (
	recordVersion = 1
	// markVersion is that of the sequence while a batch is in force that the
	// database has but a part of.
	markVersion  = 2
	recordHeader = 1 + 8 + 4 + 4
)

// castagnoli is the table of CRC-32C.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encodeRecord makes the record of a value.
func encodeRecord(key []byte, rev Revision, value []byte) []byte {
	return encodeVersion(recordVersion, key, rev, value)
}

// encodeVersion is encodeRecord for a version.
func encodeVersion(version byte, key []byte, rev Revision, value []byte) []byte {
	b := make([]byte, recordHeader, recordHeader+len(value))
	b[0] = version
	binary.BigEndian.PutUint64(b[1:], uint64(rev))
	binary.BigEndian.PutUint32(b[9:], uint32(len(value)))
	binary.BigEndian.PutUint32(b[13:], recordSum(key, b[:13], value))
	return append(b, value...)
}

// decodeRecord checks a record and returns its revision and its value, which
// is a view into b. It fails with ErrDamaged or ErrVersion.
func decodeRecord(key, b []byte) (Revision, []byte, error) {
	return decodeVersion(recordVersion, key, b)
}

// decodeVersion is decodeRecord for a version.
func decodeVersion(version byte, key, b []byte) (Revision, []byte, error) {
	if len(b) < recordHeader {
		return 0, nil, fmt.Errorf("%w: a record of %d bytes", ErrDamaged, len(b))
	}
	value := b[recordHeader:]
	switch {
	case uint64(binary.BigEndian.Uint32(b[9:])) != uint64(len(value)):
		return 0, nil, fmt.Errorf("%w: a record's length is wrong", ErrDamaged)
	case binary.BigEndian.Uint32(b[13:]) != recordSum(key, b[:13], value):
		return 0, nil, fmt.Errorf("%w: a record's checksum is wrong", ErrDamaged)
	case b[0] != version:
		return 0, nil, fmt.Errorf("%w: a record of version %d, known is %d", ErrVersion, b[0], version)
	}
	return Revision(binary.BigEndian.Uint64(b[1:])), value, nil
}

// recordSum is the checksum over key, header and value.
func recordSum(key, header, value []byte) uint32 {
	sum := crc32.Update(0, castagnoli, key)
	sum = crc32.Update(sum, castagnoli, header)
	return crc32.Update(sum, castagnoli, value)
}
