package osimage

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// Image is a disk image that an account installs its machines with.
type Image struct {
	ID        id.ID                `json:"id" doc:"Id of the image, img_…."`
	Name      string               `json:"name" doc:"Name, unique in the account."`
	URL       string               `json:"url" doc:"Where machines download the file."`
	SHA256    string               `json:"sha256" doc:"SHA-256 of the file in hex."`
	Format    provider.ImageFormat `json:"format" doc:"raw or qcow2."`
	SizeBytes int64                `json:"sizeBytes" doc:"Size of the file in bytes."`
	CreatedAt time.Time            `json:"createdAt" doc:"When it was added."`
	CreatedBy creator.Creator      `json:"createdBy" doc:"Who added it."`
}

const (
	// MaxPerAccount is the most images of an account. Images that are added at once may exceed it
	// by their number.
	MaxPerAccount = 100
	// MaxBytes is the largest file. A download must end within the time of an installation.
	MaxBytes = 200_000_000_000
)

// Config is what a Service needs.
type Config struct {
	DB  *db.DB
	IDs *id.Maker
	// Check returns what is wrong with a URL, "" for nothing: outbound.Client.
	Check func(url string) string
}

// Service keeps the accounts' images.
type Service struct{ cfg Config }

// New returns a Service. It panics when a field is missing.
func New(cfg Config) *Service {
	if cfg.DB == nil || cfg.IDs == nil || cfg.Check == nil {
		panic("osimage: New needs every field of its Config")
	}
	return &Service{cfg}
}

// Fields are what a new image is created with.
type Fields struct {
	Name      string
	URL       string
	SHA256    string
	Format    provider.ImageFormat
	SizeBytes int64
}

// Create adds an image. It returns INVALID_REQUEST with every invalid field, CONFLICT with the
// other image's id in the details if the account has this name, and LIMIT_REACHED if it has
// MaxPerAccount.
func (s *Service) Create(ctx context.Context, tx *db.Tx, account id.ID, f Fields, by creator.Creator) (Image, error) {
	f.SHA256 = strings.ToLower(f.SHA256)
	if err := apierr.Invalid(s.check(f)).OrNil(); err != nil {
		return Image{}, err
	}
	n, err := count(ctx, tx, account)
	if err == nil && n >= MaxPerAccount {
		err = apierr.Full("images", MaxPerAccount,
			"This account has %d images; the maximum is %d. Delete one first.", n, MaxPerAccount)
	}
	if err != nil {
		return Image{}, err
	}
	i := Image{
		ID: s.cfg.IDs.New(id.Image), Name: f.Name, URL: f.URL, SHA256: f.SHA256, Format: f.Format,
		SizeBytes: f.SizeBytes, CreatedAt: tx.Now, CreatedBy: by,
	}
	made, err := insert(ctx, tx, account, i)
	if err != nil || made {
		return i, err
	}
	e := apierr.New(apierr.Conflict, "Another image has this name. Choose another name, or delete that image.")
	if other, found, err := byName(ctx, tx, account, f.Name); err != nil {
		return Image{}, err
	} else if found {
		e.Details = map[string]any{"id": other.ID}
	}
	return Image{}, e
}

func (s *Service) check(f Fields) []apierr.FieldError {
	faults := apierr.CheckName("name", f.Name)
	add := func(field, format string, args ...any) {
		faults = append(faults, apierr.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if wrong := s.cfg.Check(f.URL); wrong != "" {
		add("url", "%s", wrong)
	}
	if b, err := hex.DecodeString(f.SHA256); err != nil || len(b) != 32 {
		add("sha256", "must be the SHA-256 of the file in hex: 64 digits from 0 to f, as sha256sum prints them.")
	}
	if f.Format != provider.ImageRaw && f.Format != provider.ImageQCOW2 {
		add("format", "must be raw or qcow2.")
	}
	if f.SizeBytes < 1 || f.SizeBytes > MaxBytes {
		add("sizeBytes", "must be the size of the file in bytes, 1 to %d.", int64(MaxBytes))
	}
	return faults
}

// List returns a page of the account's images that the filter selects, in that order.
func (s *Service) List(
	ctx context.Context, r db.Reader, account id.ID, f db.NameFilter, o db.Order, p db.Page,
) ([]Image, db.Listed, error) {
	return list(ctx, r, account, f, o, p)
}

// Find returns an image; false for an unknown one, and for one of another account.
func (s *Service) Find(ctx context.Context, r db.Reader, account, image id.ID) (Image, bool, error) {
	return byID(ctx, r, account, image)
}

// Get returns an image, or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, account, image id.ID) (Image, error) {
	i, found, err := byID(ctx, r, account, image)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "There is no image with this id.")
	}
	return i, err
}

// Delete deletes an image and returns it, or NOT_FOUND. Machines that have it, or are being
// installed with it, keep it.
func (s *Service) Delete(ctx context.Context, tx *db.Tx, account, image id.ID) (Image, error) {
	i, err := s.Get(ctx, tx, account, image)
	if err != nil {
		return Image{}, err
	}
	return i, remove(ctx, tx, account, image)
}
