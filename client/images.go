package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// ImageFormat is how an image's file represents a disk.
type ImageFormat string

// The formats of images.
const (
	ImageRaw   ImageFormat = "raw"
	ImageQCOW2 ImageFormat = "qcow2"
)

// Image is one of the account's own disk images.
type Image struct {
	// ID has the form img_….
	ID string `json:"id"`
	// Name is unique in the account.
	Name string `json:"name"`
	// URL is where machines download the file, SHA256 its checksum in hex, and SizeBytes its size.
	URL       string      `json:"url"`
	SHA256    string      `json:"sha256"`
	Format    ImageFormat `json:"format"`
	SizeBytes int         `json:"sizeBytes"`
	// CreatedAt is when the image was added.
	CreatedAt time.Time `json:"createdAt"`
	// CreatedBy is who added it.
	CreatedBy Creator `json:"createdBy"`
}

// CreateImage is an image to add. Every field is required.
type CreateImage struct {
	// Name is 1 to 64 characters, unique in the account.
	Name string `json:"name"`
	// URL is of https, at a public address.
	URL string `json:"url"`
	// SHA256 is of the file, in hex, and SizeBytes its size, at most 200 GB.
	SHA256    string      `json:"sha256"`
	Format    ImageFormat `json:"format"`
	SizeBytes int         `json:"sizeBytes"`
}

// ImageQuery filters and sorts a list of images.
type ImageQuery struct {
	Paging
	// Name is the whole name, case-insensitive.
	Name string `query:"name"`
	// Search is part of the name or of the id, case-insensitive.
	Search string `query:"search"`
	// Sort has createdAt, name or both, separated by commas, each prefixed with a hyphen for
	// descending; "" means -createdAt.
	Sort string `query:"sort"`
}

// ImageService manages the account's own images. Reading needs the scope deployments:read, changes
// need deployments:write.
type ImageService struct{ c *Client }

// List returns one page of images.
func (s *ImageService) List(ctx context.Context, q ImageQuery, options ...CallOption) (*Page[Image], error) {
	return list[Image](ctx, s.c, request{path: "/images", query: queryOf(q)}, options)
}

// All iterates over all images.
func (s *ImageService) All(ctx context.Context, q ImageQuery, options ...CallOption) iter.Seq2[Image, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[Image], error) {
		q.Paging = at
		return s.List(ctx, q, options...)
	}, func(i Image) string { return i.ID })
}

func image(method, id string) request {
	return request{method: method, path: "/images/" + id, id: id, field: "path.id"}
}

// Get returns an image. The error is ErrNotFound if there is none.
func (s *ImageService) Get(ctx context.Context, id string, options ...CallOption) (*Image, error) {
	return one[Image](ctx, s.c, image(http.MethodGet, id), options)
}

// Create adds an image. The error is ErrConflict if the name exists already.
func (s *ImageService) Create(ctx context.Context, in CreateImage, options ...CallOption) (*Image, error) {
	return one[Image](ctx, s.c, request{method: http.MethodPost, path: "/images", body: in}, options)
}

// Delete deletes an image. Machines that have it keep it. The error is ErrNotFound if there is
// none, except in a retry after a lost response, which means that the image was deleted.
func (s *ImageService) Delete(ctx context.Context, id string, options ...CallOption) error {
	r := image(http.MethodDelete, id)
	r.goneIsDone = true
	return s.c.do(ctx, r, options, func(body []byte) error {
		_, err := open[Image](body)
		return err
	})
}
