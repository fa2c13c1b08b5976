// Lets the terminal (xterm.js) style itself on a page that allows no inline style: what it would write into style elements
// goes into sheets of the page's own (CSSOM), which the content security policy leaves to the scripts it allows.
"use strict";
(() => {
  const create = document.createElement.bind(document);
  document.createElement = (name, ...options) => {
    if (String(name).toLowerCase() !== "style") return create(name, ...options);
    const sheet = new CSSStyleSheet();
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    const stand = create("template");
    let text = "";
    Object.defineProperty(stand, "textContent", {
      get: () => text,
      set: (given) => {
        text = String(given);
        sheet.replaceSync(text);
      },
    });
    const remove = stand.remove.bind(stand);
    stand.remove = () => {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
      remove();
    };
    return stand;
  };

  const set = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function setAttribute(name, value) {
    if (String(name).toLowerCase() === "style" && this.style) this.style.cssText = value;
    else set.call(this, name, value);
  };
})();
