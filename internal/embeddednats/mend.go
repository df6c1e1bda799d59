package embeddednats

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minio/highwayhash"

	"greentally/internal/wholefile"
)

// Damage is a part of a stream's file that could not be read.
type Damage struct {
	Stream string
	File   string // that it was in
	Bytes  int    // that were cut out
	Torn   bool   // it was the end of the last file, not whole: a write that was under way and never confirmed
	Copy   string // of the file as it was; if it was torn, of what was cut off
}

// mend looks at every record of every stream in dir, before a server reads them. A server cuts a
// file off at the first bad record; here only what is bad is cut out, and the whole file is kept
// aside in a folder "damaged". The server finds out by itself which sequences are gone.
//
// It reads all files once, at about the speed of the disk.
func mend(dir string, now time.Time) ([]Damage, error) {
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil {
		return nil, err
	}
	var all []Damage
	var buffer []byte // one for all files, which are of much the same size
	last := lastBlocks(files)
	for _, file := range files {
		number, err := blockNumber(file)
		if err != nil {
			continue // not the server's
		}
		msgs := filepath.Dir(file)
		stream := filepath.Base(filepath.Dir(msgs))
		data, err := readInto(buffer, file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		buffer = data
		good, bad, torn := sound(data, stream, number)
		if bad == 0 {
			continue
		}
		d := Damage{Stream: stream, File: file, Bytes: bad, Torn: torn && number == last[msgs],
			Copy: filepath.Join(dir, "damaged", now.UTC().Format("20060102T150405.000"), stream, filepath.Base(file))}
		keep := data
		if d.Torn {
			keep = data[len(data)-bad:]
		}
		if err := keepAside(d.Copy, keep); err != nil {
			return nil, fmt.Errorf("keep a copy of %s, which is damaged: %w", file, err)
		}
		if err := wholefile.Replace(file, good, 0o640); err != nil {
			return nil, fmt.Errorf("mend %s: %w", file, err)
		}
		// The server's summary of the stream speaks of the file as it was; without it the files are read.
		if err := os.Remove(filepath.Join(msgs, "index.db")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("mend %s: %w", file, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// lastBlocks returns the number of the last file of each folder.
func lastBlocks(files []string) map[string]uint32 {
	last := map[string]uint32{}
	for _, file := range files {
		if n, err := blockNumber(file); err == nil {
			last[filepath.Dir(file)] = max(last[filepath.Dir(file)], n)
		}
	}
	return last
}

// readInto reads a file into a buffer, or into a larger one if it is too small.
func readInto(buffer []byte, file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	buffer = slices.Grow(buffer[:0], int(info.Size()))[:info.Size()]
	_, err = io.ReadFull(f, buffer)
	return buffer, err
}

func blockNumber(file string) (uint32, error) {
	n, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(file), ".blk"), 10, 32)
	return uint32(n), err
}

// The form of a record, as nats-server's filestore.go writes it: length with a bit for headers (4
// bytes), sequence (8), time (8), length of the subject (2), the subject, the length of the
// headers (4, if there are some) and they, the message, and a hash of all but the lengths (8).
const (
	recordHeader  = 22
	recordHash    = 8
	recordLongest = 32 << 20
	hasHeaders    = 1 << 31

	firstTime = 946_684_800_000_000_000   // in 2000, ns since 1970
	lastTime  = 4_102_444_800_000_000_000 // in 2100
)

// sound returns the records of a file that are as they were written, and how many bytes are not.
// torn says that these are at the end, and look like a write that was not finished: the rest of the
// file is too short for its record, or nothing but zeros.
func sound(data []byte, stream string, number uint32) (good []byte, bad int, torn bool) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, number))
	hash, err := highwayhash.NewDigest64(key[:])
	if err != nil {
		panic("BUG: " + err.Error()) // the key has its length
	}
	le := binary.LittleEndian
	// whole returns the length of a whole record at the beginning of b, 0 if there is none; short
	// says that b is too short for what its header says.
	whole := func(b []byte) (length int, short bool) {
		if len(b) < recordHeader {
			return 0, true
		}
		word := le.Uint32(b)
		length, subject := int(word&^hasHeaders), int(le.Uint16(b[20:]))
		body := recordHeader + subject
		if word&hasHeaders != 0 {
			body += 4
		}
		if length < body+recordHash || length > recordLongest {
			return 0, false
		}
		if length > len(b) {
			return 0, true
		}
		hash.Reset()
		_, _ = hash.Write(b[4:20])
		_, _ = hash.Write(b[recordHeader : recordHeader+subject])
		_, _ = hash.Write(b[body : length-recordHash])
		if le.Uint64(b[length-recordHash:]) != hash.Sum64() {
			return 0, false
		}
		return length, false
	}
	start := 0 // of what is good and not yet taken
	for at := 0; at < len(data); {
		if length, _ := whole(data[at:]); length > 0 {
			at += length
			continue
		}
		good = append(good, data[start:at]...)
		_, short := whole(data[at:])
		zeros := len(bytes.TrimLeft(data[at:], "\x00")) == 0
		next := nextRecord(data, at, whole)
		bad += next - at
		torn = len(good) == at && next == len(data) && (short || zeros)
		at, start = next, next
	}
	if bad == 0 {
		return data, 0, false
	}
	return append(good, data[start:]...), bad, torn
}

// nextRecord returns where the first whole record after a bad one begins; the end if there is none.
func nextRecord(data []byte, bad int, whole func([]byte) (int, bool)) int {
	// Most often the length is right and something behind it is not.
	if len(data)-bad >= recordHeader {
		if after := bad + int(binary.LittleEndian.Uint32(data[bad:])&^hasHeaders); after > bad && after < len(data) {
			if length, _ := whole(data[after:]); length > 0 {
				return after
			}
		}
	}
	for at := bad + 1; at <= len(data)-recordHeader-recordHash; at++ {
		// A look at the time spares hashes over what begins like a record by chance.
		written := int64(binary.LittleEndian.Uint64(data[at+12:]))
		if written < firstTime || written > lastTime {
			continue
		}
		if length, _ := whole(data[at:]); length > 0 {
			return at
		}
	}
	return len(data)
}

// keepAside writes a copy of a damaged file.
func keepAside(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o600)
}
