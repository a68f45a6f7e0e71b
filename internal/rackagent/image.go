package rackagent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// heldStart is a space whose first mebibyte is kept in memory until commit. The drive cannot start
// as long as it is missing there.
type heldStart struct {
	Space
	head []byte
}

func (h *heldStart) ReadAt(b []byte, offset int64) (int, error) {
	n := 0
	if offset < int64(len(h.head)) {
		n = copy(b, h.head[offset:])
	}
	if n == len(b) {
		return n, nil
	}
	more, err := h.Space.ReadAt(b[n:], offset+int64(n))
	return n + more, err
}

func (h *heldStart) WriteAt(b []byte, offset int64) (int, error) {
	n := 0
	if offset < int64(len(h.head)) {
		n = copy(h.head[offset:], b)
	}
	if n == len(b) {
		return n, nil
	}
	more, err := h.Space.WriteAt(b[n:], offset+int64(n))
	return n + more, err
}

// Zero is only called for ranges behind the start, or for ranges that include it.
func (h *heldStart) Zero(offset, length int64) error {
	if offset < int64(len(h.head)) {
		n := min(length, int64(len(h.head))-offset)
		clear(h.head[offset : offset+n])
		offset, length = offset+n, length-n
	}
	if length == 0 {
		return nil
	}
	return h.Space.Zero(offset, length)
}

// commit lets the drive start: everything else is on it already.
func (h *heldStart) commit() error {
	if err := h.Flush(); err != nil {
		return err
	}
	if _, err := h.Space.WriteAt(h.head, 0); err != nil {
		return err
	}
	return h.Flush()
}

// clearEnds removes what a firmware could start from: the partition table and its copy.
func clearEnds(s Space) error {
	n := min(mebibyte, s.Size())
	return errors.Join(s.Zero(0, n), s.Zero(s.Size()-n, n), s.Flush())
}

// install writes an image and its NoCloud partition to a space. If it fails, the space cannot be
// started from.
func (a *Agent) install(ctx context.Context, s Space, j Job) (failure *Error) {
	if s.Size() < 4*mebibyte {
		return &Error{ImageTooLarge, "the drive is too small for any image"}
	}
	if err := clearEnds(s); err != nil {
		return &Error{WriteFailed, fmt.Sprintf("clear the drive's partition table: %v", err)}
	}
	held := &heldStart{Space: s, head: make([]byte, mebibyte)}
	defer func() {
		if failure == nil {
			return
		}
		if err := clearEnds(s); err != nil {
			failure.Message += fmt.Sprintf("; then the drive's partition table could not be cleared: %v", err)
		}
	}()
	write := a.writeRaw
	if j.Image.Format == QCOW2 {
		write = a.writeQCOW2
	}
	if failure := write(ctx, held, *j.Image); failure != nil {
		return failure
	}
	a.status.set(Configuring, 0)
	if failure := configure(held, *j.Config); failure != nil {
		return failure
	}
	if err := held.commit(); err != nil {
		return &Error{WriteFailed, fmt.Sprintf("write the start of the drive: %v", err)}
	}
	return nil
}

// writeRaw writes the file while its checksum is made.
func (a *Agent) writeRaw(ctx context.Context, s *heldStart, image Image) *Error {
	if image.Bytes > s.Size() {
		return tooLarge(image.Bytes, s.Size())
	}
	a.status.set(Writing, 0)
	return a.download(ctx, image, func(r io.Reader) *Error {
		b := make([]byte, mebibyte)
		for offset := int64(0); offset < image.Bytes; {
			n, err := io.ReadFull(r, b[:min(int64(len(b)), image.Bytes-offset)])
			if err != nil {
				return &Error{ImageUnavailable, fmt.Sprintf("the image ended after %d bytes: %v", offset+int64(n), err)}
			}
			if err := put(s, offset, int64(n), b[:n]); err != nil {
				return &Error{WriteFailed, fmt.Sprintf("write the image: %v", err)}
			}
			offset += int64(n)
			a.status.set(Writing, int(offset*100/image.Bytes))
		}
		return nil
	})
}

// writeQCOW2 keeps the file in memory, checks it, and writes what it contains.
func (a *Agent) writeQCOW2(ctx context.Context, s *heldStart, image Image) *Error {
	file, err := os.CreateTemp(a.Temporary, "image")
	if err != nil {
		return &Error{ImageUnavailable, err.Error()}
	}
	defer os.Remove(file.Name())
	defer file.Close()
	a.status.set(Downloading, 0)
	if failure := a.keep(ctx, file, image); failure != nil {
		return failure
	}
	q, err := openQCOW2(io.NewSectionReader(file, 0, image.Bytes))
	if err != nil {
		return &Error{ImageInvalid, err.Error()}
	}
	if q.size > s.Size() {
		return tooLarge(q.size, s.Size())
	}
	a.status.set(Writing, 0)
	var failed error
	err = q.each(func(offset, length int64, b []byte) error {
		if failed = put(s, offset, length, b); failed != nil {
			return failed
		}
		a.status.set(Writing, int(offset/(q.size/100+1)))
		return ctx.Err()
	})
	switch {
	case failed != nil:
		return &Error{WriteFailed, fmt.Sprintf("write the image: %v", failed)}
	case err != nil:
		return &Error{ImageInvalid, err.Error()}
	}
	return nil
}

// keep downloads the file into memory.
func (a *Agent) keep(ctx context.Context, file io.WriterAt, image Image) *Error {
	return a.download(ctx, image, func(r io.Reader) *Error {
		b := make([]byte, mebibyte)
		for offset := int64(0); offset < image.Bytes; {
			n, err := io.ReadFull(r, b[:min(int64(len(b)), image.Bytes-offset)])
			if err != nil {
				return &Error{ImageUnavailable, fmt.Sprintf("the image ended after %d bytes: %v", offset+int64(n), err)}
			}
			if _, err := file.WriteAt(b[:n], offset); err != nil {
				return &Error{ImageMemory, fmt.Sprintf(
					"the machine's memory does not hold the qcow2 image, use raw: %v after %d bytes", err, offset)}
			}
			offset += int64(n)
			a.status.set(Downloading, int(offset*100/image.Bytes))
		}
		return nil
	})
}

func tooLarge(image, drive int64) *Error {
	return &Error{ImageTooLarge, fmt.Sprintf("the image's disk has %d bytes, the drive has %d", image, drive)}
}

// put writes bytes, or zeros as such: the drive may have anything there, as an erased drive need
// not read as zeros.
func put(s Space, offset, length int64, b []byte) error {
	if b == nil || isZero(b) {
		return s.Zero(offset, length)
	}
	_, err := s.WriteAt(b, offset)
	return err
}

// downloadTries is how often a download that breaks off is started.
const downloadTries = 3

// tenantLimit is how long the download of a tenant's image may take. Together with the start of a
// large machine, it is less than billetd and a deployment wait: a slow server is not taken for an
// agent that is silent.
const tenantLimit = time.Hour

// download calls f with the file, and compares its length and checksum.
func (a *Agent) download(ctx context.Context, image Image, f func(io.Reader) *Error) *Error {
	if !image.Tenant {
		return a.downloadWithin(ctx, image, f)
	}
	limit := cmp.Or(a.TenantLimit, tenantLimit)
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	failure := a.downloadWithin(within, image, f)
	if failure != nil && failure.Code == ImageUnavailable && within.Err() != nil && ctx.Err() == nil {
		failure.Message = fmt.Sprintf("the download took more than %s: %s", limit, failure.Message)
	}
	return failure
}

func (a *Agent) downloadWithin(ctx context.Context, image Image, f func(io.Reader) *Error) *Error {
	var failure *Error
	for try := range downloadTries {
		if try > 0 && a.Wait(ctx, retryPause(try)) != nil {
			break
		}
		failure = a.downloadOnce(ctx, image, f)
		if failure == nil || failure.Code != ImageUnavailable {
			return failure
		}
		a.say("The image could not be read: " + failure.Message)
	}
	return failure
}

func (a *Agent) downloadOnce(ctx context.Context, image Image, f func(io.Reader) *Error) *Error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := a.open(ctx, image)
	if err != nil {
		return &Error{ImageUnavailable, err.Error()}
	}
	defer body.Close()
	watched := newWatchedReader(body, cancel)
	defer watched.stop()
	sum := sha256.New()
	if failure := f(io.TeeReader(watched, sum)); failure != nil {
		return failure
	}
	if n, _ := io.ReadFull(watched, make([]byte, 1)); n > 0 {
		return &Error{ImageChecksum, fmt.Sprintf("the image has more than %d bytes", image.Bytes)}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != image.SHA256 {
		return &Error{ImageChecksum, fmt.Sprintf("the image's SHA-256 is %s, not %s", got, image.SHA256)}
	}
	return nil
}

// configure adds the NoCloud partition to the drive's partition table.
func configure(s Space, c Config) *Error {
	table, err := readGPT(s, int64(s.SectorSize()))
	if err != nil {
		return &Error{ImageInvalid, err.Error()}
	}
	files, err := noCloud(c, s.SectorSize())
	if err != nil {
		return &Error{InvalidJob, err.Error()}
	}
	offset, err := table.extend(s.Size(), noCloudSize, "cidata")
	if err != nil {
		return &Error{ImageInvalid, err.Error()}
	}
	if _, err := s.WriteAt(files, offset); err != nil {
		return &Error{WriteFailed, fmt.Sprintf("write the NoCloud partition: %v", err)}
	}
	if err := table.write(s); err != nil {
		return &Error{WriteFailed, fmt.Sprintf("write the partition table: %v", err)}
	}
	return nil
}
