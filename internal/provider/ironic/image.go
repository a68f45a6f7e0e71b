package ironic

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/provider/upstream"
)

// image is an operating system to install.
type image struct {
	name string // as tenants see it
	url  string
	// algorithm and hash are those of the file.
	algorithm, hash string
	// user is the one to whom the image's cloud-init gives the keys.
	user string
}

const imageForm = `"Ubuntu 24.04 = https://images.example/ubuntu.raw sha256:<64 digits> user:ubuntu; …"`

var digits = map[string]int{"sha256": 64, "sha512": 128}

// parseImages reads the setting: entries separated by semicolons.
func parseImages(text string) ([]image, error) {
	var out []image
	for entry := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		i, err := parseImage(entry)
		if err != nil {
			return nil, fmt.Errorf("%.80q: %w; write %s", strings.TrimSpace(entry), err, imageForm)
		}
		if slices.ContainsFunc(out, func(o image) bool { return o.name == i.name }) {
			return nil, fmt.Errorf("%.80q is listed twice", i.name)
		}
		out = append(out, i)
	}
	switch {
	case len(out) == 0:
		return nil, errors.New("list the operating systems to install: " + imageForm)
	case len(out) > upstream.MaxSystems:
		return nil, fmt.Errorf("at most %d operating systems can be listed", upstream.MaxSystems)
	}
	return out, nil
}

func parseImage(entry string) (image, error) {
	name, rest, _ := strings.Cut(entry, "=")
	i := image{name: strings.TrimSpace(name)}
	words := strings.Fields(rest)
	if !upstream.IsPlain(i.name) || len(words) == 0 {
		return i, errors.New("a name and a URL are required")
	}
	i.url = words[0]
	if u, err := url.Parse(i.url); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return i, errors.New("the image must have a URL that begins with https:// or http://")
	}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, ":")
		switch {
		case key == "user":
			i.user = value
		case digits[key] > 0:
			i.algorithm, i.hash = key, strings.ToLower(value)
		default:
			return i, fmt.Errorf("%.40q is unknown", word)
		}
	}
	if i.algorithm == "" || len(i.hash) != digits[i.algorithm] || strings.Trim(i.hash, "0123456789abcdef") != "" {
		return i, errors.New("the file's checksum is required, as sha256:… or sha512:…")
	}
	if i.user == "" {
		return i, errors.New("the login user is required, as user:…")
	}
	return i, nil
}

func (x *Adapter) image(name string) (image, bool) {
	at := slices.IndexFunc(x.images, func(i image) bool { return i.name == name })
	if at < 0 {
		return image{}, false
	}
	return x.images[at], true
}

// info is the part of a node's instance_info that selects the image.
func (i image) info() map[string]string {
	return map[string]string{
		"image_source": i.url, "image_os_hash_algo": i.algorithm, "image_os_hash_value": i.hash,
		"billet_user": i.user,
	}
}
