/* Runs in asv's page: an address as of asv's own pages, #/operators, leads to ours. */
"use strict";

$(document).ready(function () {
    $.asv.register_page("operators", function () {
        window.location.replace("operators/index.html");
    });
});
