/** The skeleton of index.html, shown until the session is known. Its style is in index.html. */
export function Boot() {
  return (
    <div className="boot" aria-busy="true">
      <div className="boot-side">
        <i />
        <i />
        <i />
        <i />
        <i />
      </div>
      <div className="boot-main">
        <i />
        <i />
        <i />
      </div>
    </div>
  );
}
