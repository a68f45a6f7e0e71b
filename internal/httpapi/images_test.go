package httpapi

import (
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/id"
)

func imageBody(name string) map[string]any {
	return map[string]any{
		"name": name, "url": "https://images.example.com/" + name + ".qcow2", "sha256": strings.Repeat("ab", 32),
		"format": "qcow2", "sizeBytes": 618925568,
	}
}

func TestMachinesAreInstalledWithOwnImages(t *testing.T) {
	w := newWorld(t)
	const images, deployments = Base + "/images", Base + "/deployments"
	// What a machine would be sent to is refused before it is.
	for _, url := range []string{
		"http://images.example.com/a", "https://10.0.0.1/a", "https://169.254.169.254/latest", "https://[::1]/a",
		"https://user:password@images.example.com/a", "file:///etc/passwd",
	} {
		bad := imageBody("bad")
		bad["url"] = url
		same(t, url, w.refused("INVALID_REQUEST", w.ada, "POST", images, bad).fields(), []string{"url"})
	}
	made := w.want(201, w.ada, "POST", images, imageBody("rocky"))
	image := made.text("id")
	w.refused("CONFLICT", w.ada, "POST", images, imageBody("rocky"))
	w.refused("NOT_FOUND", w.bob, "GET", images+"/"+image, nil)
	w.refused("NOT_FOUND", w.bob, "DELETE", images+"/"+image, nil)
	body := func(change ...any) map[string]any {
		b := map[string]any{"offerId": "off_abc123", "name": "n", "ssh_public_key": publicKey(t), "imageId": image}
		for i := 0; i < len(change); i += 2 {
			b[change[i].(string)] = change[i+1]
		}
		return b
	}
	w.refused("NOT_FOUND", w.bob, "POST", deployments, body())
	w.refused("NOT_FOUND", w.ada, "POST", deployments, body("imageId", "img_none"))
	r := w.refused("INVALID_REQUEST", w.ada, "POST", deployments, body("operatingSystem", "Ubuntu 22.04"))
	same(t, "both", r.fields(), []string{"operatingSystem"})
	r = w.refused("INVALID_REQUEST", w.ada, "POST", deployments, body("offerId", "off_plain"))
	same(t, "an offer without", r.fields(), []string{"imageId"})
	d := id.ID(w.want(201, w.ada, "POST", deployments, body()).text("id"))
	w.want(200, w.ada, "DELETE", images+"/"+image, nil) // the deployment has a copy
	w.settle(d)
	one := deployments + "/" + string(d)
	got := w.want(200, w.ada, "GET", one, nil)
	if got.text("imageId") != image || got.text("operatingSystem") != "rocky" {
		t.Fatalf("%s", got.body)
	}
	if i := w.cloud.images[d]; string(i.ID) != image || i.URL != "https://images.example.com/rocky.qcow2" ||
		i.Bytes != 618925568 || i.SHA256 != strings.Repeat("ab", 32) {
		t.Fatalf("installed %+v", i)
	}
	reinstall := func(change map[string]any) {
		t.Helper()
		change["eraseLocalDisks"] = true
		w.want(202, w.ada, "POST", one+"/reinstall", change)
		w.settle(d)
	}
	delete(w.cloud.images, d)
	reinstall(map[string]any{}) // the same once more, although it was deleted
	if i := w.cloud.images[d]; string(i.ID) != image {
		t.Fatalf("installed %+v", i)
	}
	other := w.want(201, w.ada, "POST", images, imageBody("alma")).text("id")
	both := map[string]any{"imageId": other, "operatingSystem": "Ubuntu 22.04", "eraseLocalDisks": true}
	same(t, "both", w.refused("INVALID_REQUEST", w.ada, "POST", one+"/reinstall", both).fields(),
		[]string{"operatingSystem"})
	same(t, "not confirmed", w.refused("INVALID_REQUEST", w.ada, "POST", one+"/reinstall",
		map[string]any{"imageId": other}).fields(), []string{"eraseLocalDisks"})
	w.refused("NOT_FOUND", w.ada, "POST", one+"/reinstall", map[string]any{"imageId": image, "eraseLocalDisks": true})
	reinstall(map[string]any{"imageId": other})
	same(t, "image", w.want(200, w.ada, "GET", one, nil).text("operatingSystem"), "alma")
	same(t, "installed", string(w.cloud.images[d].ID), other)
	reinstall(map[string]any{"operatingSystem": "ubuntu 22.04"})
	got = w.want(200, w.ada, "GET", one, nil)
	if at := got.data.(map[string]any); at["imageId"] != nil || at["operatingSystem"] != "Ubuntu 22.04" {
		t.Fatalf("%s", got.body)
	}
}
