package store

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"
)

// A backup is one file that both databases write and read:
//
//	qunbot backup 1              the format and its version
//	{"created_at":…}             BackupHeader, one line of JSON
//	gzip stream of records       see below
//	sha256 0123…                 of every byte before this line, 72 bytes
//
// A record is a byte that says what it is, and its parts; numbers are varints
// of encoding/binary, texts their length and their bytes:
//
//	T table as JSON              dumpTable; its rows follow
//	R values                     in the order of the table's columns
//	Z rows                       the end, with the number of all rows
//
// A value is a 0 byte for NULL, or a 1 byte followed by an int (signed), a time
// (seconds since 1970, signed, and nanoseconds), or a text's or blob's bytes.
const (
	backupMagic   = "qunbot backup 1\n"
	trailerPrefix = "sha256 "
	trailerLen    = len(trailerPrefix) + 2*sha256.Size + 1
	maxHeader     = 1 << 20  // bytes, of a header or a table's description
	maxValue      = 64 << 20 // bytes; the largest column is MySQL's LONGTEXT, and no row of ours comes near
)

// What is wrong with a file that is read as a backup.
var (
	// ErrNoBackup: the file is something else.
	ErrNoBackup = errors.New("not a qunbot backup")
	// ErrTruncated: its end is missing.
	ErrTruncated = errors.New("the backup is cut off")
	// ErrAltered: its checksum does not fit.
	ErrAltered = errors.New("the backup was changed after it was written")
)

// A BackupHeader says what a backup is of.
type BackupHeader struct {
	CreatedAt  time.Time `json:"created_at"` // everything committed before is in it
	Program    string    `json:"program"`    // the version that wrote it
	Driver     string    `json:"driver"`
	Zone       string    `json:"time_zone"`
	Migrations []string  `json:"migrations"`           // the schema's steps, in order
	Key        string    `json:"key"`                  // fingerprint of the secret key; empty: nothing was sealed
	SecretKey  string    `json:"secret_key,omitempty"` // the key itself in base64, only if it was asked for
}

// The kinds of columns.
const (
	kindInt  = "int" // also true and false
	kindTime = "time"
	kindText = "text"
	kindBlob = "blob"
)

type dumpColumn struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

type dumpTable struct {
	Name    string       `json:"name"`
	Columns []dumpColumn `json:"columns"`
	Next    int64        `json:"next,omitempty"` // the next number that is given out; 0: the database does not number the rows
}

// kindOf returns the kind of a column by what the database calls its type.
func kindOf(databaseType string) (string, bool) {
	name := strings.ToUpper(databaseType)
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(name, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("DATE", "TIME"):
		return kindTime, true
	case has("INT", "NUMERIC", "BOOL"):
		return kindInt, true
	case has("BLOB", "BINARY"):
		return kindBlob, true
	case has("CHAR", "TEXT"):
		return kindText, true
	}
	return "", false
}

// A dumpWriter writes a backup.
type dumpWriter struct {
	out   io.Writer
	hash  hash.Hash
	zip   *gzip.Writer
	buf   *bufio.Writer
	table dumpTable
	rows  int64
}

func newDumpWriter(w io.Writer, h BackupHeader) (*dumpWriter, error) {
	d := &dumpWriter{out: w, hash: sha256.New()}
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	both := io.MultiWriter(w, d.hash)
	if _, err := fmt.Fprintf(both, "%s%s\n", backupMagic, text); err != nil {
		return nil, err
	}
	if d.zip, err = gzip.NewWriterLevel(both, gzip.BestSpeed); err != nil {
		return nil, err
	}
	d.buf = bufio.NewWriterSize(d.zip, 1<<18)
	return d, nil
}

// begin starts a table.
func (d *dumpWriter) begin(t dumpTable) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	d.table = t
	d.buf.WriteByte('T')
	d.bytes(text)
	return nil
}

// row writes one row of the table: int64 or bool, time.Time, string or []byte,
// nil for NULL.
func (d *dumpWriter) row(values []any) error {
	d.buf.WriteByte('R')
	d.rows++
	for i, v := range values {
		if err := d.value(d.table.Columns[i], v); err != nil {
			return fmt.Errorf("table %s: %w", d.table.Name, err)
		}
	}
	return nil
}

func (d *dumpWriter) value(c dumpColumn, v any) error {
	if v == nil {
		return d.buf.WriteByte(0)
	}
	if err := d.buf.WriteByte(1); err != nil {
		return err
	}
	switch v := v.(type) {
	case int64:
		if c.Kind == kindInt {
			d.int(v)
			return nil
		}
	case bool:
		if c.Kind == kindInt {
			n := int64(0)
			if v {
				n = 1
			}
			d.int(n)
			return nil
		}
	case time.Time:
		if c.Kind == kindTime {
			d.int(v.Unix())
			d.int(int64(v.Nanosecond()))
			return nil
		}
	case string:
		if c.Kind == kindText || c.Kind == kindBlob {
			d.int(int64(len(v)))
			d.buf.WriteString(v)
			return nil
		}
	case []byte:
		if c.Kind == kindText || c.Kind == kindBlob {
			d.bytes(v)
			return nil
		}
	}
	return fmt.Errorf("column %s holds a %T, want a value of kind %s", c.Name, v, c.Kind)
}

func (d *dumpWriter) int(n int64) {
	var room [binary.MaxVarintLen64]byte
	d.buf.Write(room[:binary.PutVarint(room[:], n)])
}

func (d *dumpWriter) bytes(b []byte) {
	d.int(int64(len(b)))
	d.buf.Write(b)
}

// close writes the end and returns the checksum. Errors of all writes before
// come out here at the latest: bufio keeps the first.
func (d *dumpWriter) close() (checksum string, err error) {
	d.buf.WriteByte('Z')
	d.int(d.rows)
	if err := errors.Join(d.buf.Flush(), d.zip.Close()); err != nil {
		return "", err
	}
	checksum = hex.EncodeToString(d.hash.Sum(nil))
	_, err = io.WriteString(d.out, trailerPrefix+checksum+"\n")
	return checksum, err
}

// checkFile reads a file of size bytes and returns its header and its
// checksum, or one of the errors above.
func checkFile(r io.Reader, size int64) (BackupHeader, string, error) {
	hash := sha256.New()
	body := bufio.NewReaderSize(io.TeeReader(io.LimitReader(r, size-int64(trailerLen)), hash), 1<<18)
	h, err := readHeader(body)
	if err != nil {
		return h, "", err
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return h, "", err
	}
	trailer := make([]byte, trailerLen)
	if _, err := io.ReadFull(r, trailer); err != nil {
		return h, "", ErrTruncated
	}
	want, isTrailer := strings.CutPrefix(string(trailer), trailerPrefix)
	if !isTrailer || !strings.HasSuffix(want, "\n") {
		return h, "", ErrTruncated
	}
	checksum := hex.EncodeToString(hash.Sum(nil))
	if strings.TrimSuffix(want, "\n") != checksum {
		return h, "", ErrAltered
	}
	return h, checksum, nil
}

func readHeader(r *bufio.Reader) (h BackupHeader, err error) {
	magic := make([]byte, len(backupMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != backupMagic {
		if bytes.HasPrefix(magic, []byte("qunbot backup ")) {
			return h, fmt.Errorf("%w of this version: %.40q", ErrNoBackup, magic)
		}
		return h, ErrNoBackup
	}
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) || len(line) > maxHeader {
			return h, ErrTruncated
		}
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return h, fmt.Errorf("%w: its header: %w", ErrNoBackup, err)
	}
	return h, nil
}

// A dumpReader reads a backup. What it reads may be anything: it returns an
// error for it, and takes no more memory than a row.
type dumpReader struct {
	header BackupHeader
	buf    *bufio.Reader
	table  dumpTable
	values []any
	rows   int64
}

func newDumpReader(r io.Reader) (*dumpReader, error) {
	body := bufio.NewReaderSize(r, 1<<18)
	h, err := readHeader(body)
	if err != nil {
		return nil, err
	}
	zip, err := gzip.NewReader(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTruncated, err)
	}
	zip.Multistream(false) // the trailer follows
	return &dumpReader{header: h, buf: bufio.NewReaderSize(zip, 1<<18)}, nil
}

// nextTable reads on to the next table, once all rows of the last one are
// read, and returns io.EOF at the end of a whole backup.
func (d *dumpReader) nextTable() (dumpTable, error) {
	mark, err := d.buf.ReadByte()
	if err != nil {
		return dumpTable{}, cutOff(err)
	}
	switch mark {
	case 'T':
		text, err := d.bytes(maxHeader)
		if err != nil {
			return dumpTable{}, err
		}
		var t dumpTable
		if err := json.Unmarshal(text, &t); err != nil || t.Name == "" || len(t.Columns) == 0 {
			return dumpTable{}, fmt.Errorf("%w: its tables do not make sense", ErrAltered)
		}
		d.table, d.values = t, make([]any, len(t.Columns))
		return t, nil
	case 'Z':
		n, err := d.int()
		if err != nil {
			return dumpTable{}, err
		}
		if n != d.rows {
			return dumpTable{}, fmt.Errorf("%w: it has %d rows and should have %d", ErrAltered, d.rows, n)
		}
		return dumpTable{}, io.EOF
	}
	return dumpTable{}, fmt.Errorf("%w: its records do not make sense", ErrAltered)
}

// row returns the table's next row, whose values are good until the next call,
// or io.EOF at the end of the table.
func (d *dumpReader) row() ([]any, error) {
	mark, err := d.buf.Peek(1)
	if err != nil {
		return nil, cutOff(err)
	}
	if mark[0] != 'R' {
		return nil, io.EOF
	}
	d.buf.Discard(1)
	for i, c := range d.table.Columns {
		if d.values[i], err = d.value(c.Kind); err != nil {
			return nil, err
		}
	}
	d.rows++
	return d.values, nil
}

func (d *dumpReader) value(kind string) (any, error) {
	there, err := d.buf.ReadByte()
	if err != nil {
		return nil, cutOff(err)
	}
	if there == 0 {
		return nil, nil
	}
	switch kind {
	case kindInt:
		n, err := d.int()
		return n, err
	case kindTime:
		seconds, err := d.int()
		if err != nil {
			return nil, err
		}
		nanos, err := d.int()
		if err != nil {
			return nil, err
		}
		if nanos < 0 || nanos >= 1e9 || seconds < -1<<38 || seconds > 1<<38 {
			return nil, fmt.Errorf("%w: it holds an impossible time", ErrAltered)
		}
		return time.Unix(seconds, nanos).UTC(), nil
	case kindText:
		b, err := d.bytes(maxValue)
		return string(b), err
	case kindBlob:
		b, err := d.bytes(maxValue)
		return b, err
	}
	return nil, fmt.Errorf("%w: it has columns of the unknown kind %.20q", ErrAltered, kind)
}

func (d *dumpReader) int() (int64, error) {
	n, err := binary.ReadVarint(d.buf)
	if err != nil {
		return 0, cutOff(err)
	}
	return n, nil
}

// bytes reads a text of at most limit bytes. Memory is taken as it comes in:
// the length may be a lie.
func (d *dumpReader) bytes(limit int64) ([]byte, error) {
	n, err := d.int()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > limit {
		return nil, fmt.Errorf("%w: it holds a text of %d bytes", ErrAltered, n)
	}
	if n <= 1<<16 {
		b := make([]byte, n)
		_, err := io.ReadFull(d.buf, b)
		return b, cutOff(err)
	}
	var b bytes.Buffer
	if m, err := io.CopyN(&b, d.buf, n); m < n {
		return nil, cutOff(err)
	}
	return b.Bytes(), nil
}

// cutOff tells a file that ends too early from one that cannot be read.
func cutOff(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrTruncated
	}
	return fmt.Errorf("%w: %w", ErrAltered, err)
}
